// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commits that stop in the middle, at every place, by a kill, a loss of power or a full disk.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kiln_testkit::{need_program, run};

use super::overlay::tests::Random;
use super::{DiskImage, FormatName, ImageError, Mode, OpenOptions, Warning};
use crate::device::{Device, SharedDevice};
use crate::format::medium::{Effect, Script};

fn options(mode: Mode) -> OpenOptions {
    OpenOptions { mode, skip_sync: true, ..OpenOptions::default() }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// All bytes of the disk in an image, as it is read now.
fn content(path: &Path, options: &OpenOptions) -> Vec<u8> {
    let image = DiskImage::open(path, options).unwrap();
    let mut device = image.device();
    let mut out = vec![0; index(device.size())];
    device.read_at(0, &mut out).unwrap();
    out
}

/// A file as it is after some effects.
fn state(original: &[u8], effects: &[&Effect]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for effect in effects {
        match effect {
            Effect::Write(at, data) => {
                let end = index(*at) + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[index(*at)..end].copy_from_slice(data);
            }
            Effect::Zero(at, len) => {
                let end = bytes.len().min(index(at + len));
                bytes[end.min(index(*at))..end].fill(0);
            }
            Effect::SetLen(len) => bytes.resize(index(*len), 0),
            Effect::Sync | Effect::Other(_) => {}
        }
    }
    bytes
}

/// The states that a stop before effect `n` may leave: all that was done, and, where power was
/// lost, some of what was not yet brought onto the disk.
fn states(original: &[u8], effects: &[Effect], n: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let synced = effects[..n].iter().rposition(|e| matches!(e, Effect::Sync)).unwrap_or(0);
    let all: Vec<&Effect> = effects[..n].iter().collect();
    let mut out = vec![state(original, &all)];
    for _ in 0..3 {
        let lost = |random: &mut Random| random.below(2) == 0;
        let some: Vec<&Effect> = all
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < synced || !lost(random))
            .map(|(_, effect)| *effect)
            .collect();
        out.push(state(original, &some));
    }
    out
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

/// Changes here and there, the same for the same seed.
fn change(mut device: SharedDevice, seed: u64) {
    let mut random = Random(seed);
    let size = device.size();
    for n in 0..12 {
        let at = random.below(size - 200_000);
        if n % 4 == 3 {
            device.discard(at, random.below(200_000)).unwrap();
        } else {
            let len = index(1 + random.below(9000));
            device.write_at(at, &noise(&mut random, len)).unwrap();
        }
    }
}

fn qcow2(folder: &Path, shape: &str, random: &mut Random) -> Vec<u8> {
    let mut disk = vec![0; 2 << 20];
    let bytes = noise(random, 500_000);
    disk[300_000..800_000].copy_from_slice(&bytes);
    disk[1 << 20..(1 << 20) + 200_000].fill(b'x');
    fs::write(folder.join("disk"), &disk).unwrap();
    let (from, to) = (folder.join("disk"), folder.join("it"));
    let mut argv = vec!["qemu-img", "convert", "-f", "raw", "-O", "qcow2"];
    argv.extend(shape.split_whitespace());
    argv.extend([from.to_str().unwrap(), to.to_str().unwrap()]);
    let _ = run(&argv).success();
    disk
}

#[test]
fn a_qcow2_file_is_the_old_or_the_new_disk_wherever_it_stops() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let it = folder.path().join("it");
    for (seed, shape) in [
        (1, ""),
        (2, "-o cluster_size=4k,refcount_bits=1"),
        (3, "-c"),
        (4, "-o compat=0.10,cluster_size=16k"),
        (5, "-o lazy_refcounts=on"),
    ] {
        let mut random = Random(seed);
        let old = qcow2(folder.path(), shape, &mut random);
        if shape.contains("lazy") {
            // As QEMU leaves it when it is killed: counts that are wrong, and say so.
            let abort = ["qemu-io", "-c", "write -P 5 1900000 70000", "-c", "abort"];
            let mut argv = abort.to_vec();
            argv.push(it.to_str().unwrap());
            let _ = run(&argv);
        }
        let old = if shape.contains("lazy") { content(&it, &options(Mode::Read)) } else { old };
        let original = fs::read(&it).unwrap();
        let dirty = original[79] & 1 != 0;
        assert_eq!(dirty, shape.contains("lazy"));
        let mut image = DiskImage::open(&it, &options(Mode::Write)).unwrap();
        let script = Script::new(usize::MAX);
        image.script = Some(script.clone());
        change(image.device(), seed);
        let mut new = vec![0; old.len()];
        image.device().read_at(0, &mut new).unwrap();
        assert!(old != new && image.commit().unwrap());
        let effects = script.effects();
        let switch = effects.iter().position(|e| matches!(e, Effect::Write(0, _))).unwrap();
        for n in 0..=effects.len() {
            for (which, bytes) in states(&original, &effects, n, &mut random).iter().enumerate() {
                fs::write(&it, bytes).unwrap();
                let found = content(&it, &options(Mode::Read));
                let what = format!("{shape}: stopped before {n} of {}, {which}", effects.len());
                assert!(found == old || found == new, "{what}: neither");
                assert!(n > switch || found == old, "{what}: too early");
                assert!(n < switch + 2 || found == new, "{what}: too late");
                if (which == 0 || (which == 1 && n % 4 == 0)) && !(dirty && found == old) {
                    let checked = run(&["qemu-img", "check", "-q", it.to_str().unwrap()]);
                    assert_eq!(checked.code, 0, "{what}: {}", checked.stdout);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_leaves_a_qcow2_file_as_it_was() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let it = folder.path().join("it");
    let mut random = Random(9);
    let old = qcow2(folder.path(), "-o cluster_size=8k", &mut random);
    // Free clusters within the file are used, too.
    let image = DiskImage::open(&it, &options(Mode::Write)).unwrap();
    image.device().discard(320_000, 90_000).unwrap();
    image.commit().unwrap();
    let mut old = old;
    old[320_000..410_000].fill(0);
    let original = fs::read(&it).unwrap();
    for good in 0.. {
        let mut image = DiskImage::open(&it, &options(Mode::Write)).unwrap();
        image.script = Some(Script::new(good));
        change(image.device(), 9);
        match image.commit() {
            Ok(_) => break,
            Err(ImageError::Io { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
            }
            Err(other) => panic!("{other}"),
        }
        let now = fs::read(&it).unwrap();
        if now[..104] != original[..104] {
            // The header was the last thing that there was room for.
            break;
        }
        assert_eq!(now.len(), original.len(), "{good}");
        assert!(content(&it, &options(Mode::Read)) == old, "{good}");
        let checked = run(&["qemu-img", "check", "-q", it.to_str().unwrap()]);
        assert_eq!(checked.code, 0, "{good}: {}", checked.stdout);
        assert!(good < 100);
    }
}

fn raw(folder: &Path, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; 2 << 20];
    let some = noise(random, 500_000);
    bytes[300_000..800_000].copy_from_slice(&some);
    sparse(&folder.join("it"), &bytes);
    bytes
}

/// Writes a file with holes where it is zeros.
fn sparse(path: &Path, bytes: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
    for (n, block) in
        (0..).zip(bytes.chunks(4096)).filter(|(_, block)| block.iter().any(|&b| b != 0))
    {
        file.write_all_at(block, n * 4096).unwrap();
    }
}

fn raw_options(mode: Mode) -> OpenOptions {
    OpenOptions { format: Some(FormatName::Raw), ..options(mode) }
}

#[test]
fn a_raw_image_is_the_old_or_the_new_disk_wherever_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (it, journal) = (folder.path().join("it"), folder.path().join(".it.kiln-redo"));
    for (seed, size) in [(1, 2 << 20), (2, 3 << 20), (3, 1 << 20)] {
        let mut random = Random(seed);
        let old = raw(folder.path(), &mut random);
        let commit = |script: &Script| {
            let mut image = DiskImage::open(&it, &raw_options(Mode::Write)).unwrap();
            image.script = Some(script.clone());
            image.resize_virtual(size).unwrap();
            change(image.device(), seed);
            let mut new = vec![0; index(size)];
            image.device().read_at(0, &mut new).unwrap();
            (image.commit(), new)
        };
        // The journal is whole when the image's first byte is written.
        let script = Script::new(usize::MAX);
        let (done, new) = commit(&script);
        assert!(done.unwrap() && old != new && fs::read(&it).unwrap() == new);
        assert!(!journal.exists());
        let effects = script.effects();
        let end = effects.iter().position(|e| matches!(e, Effect::Other("end"))).unwrap();

        for good in 0..=end {
            sparse(&it, &old);
            let (failed, _) = commit(&Script::new(good));
            assert!(failed.is_err() && !journal.exists(), "{good}");
            assert!(fs::read(&it).unwrap() == old, "{good}");
        }
        sparse(&it, &old);
        assert!(commit(&Script::new(end + 1)).0.is_err());
        let whole = fs::read(&journal).unwrap();

        for n in end + 1..=effects.len() {
            for bytes in states(&old, &effects, n, &mut random) {
                sparse(&it, &bytes);
                fs::write(&journal, &whole).unwrap();
                let image = DiskImage::open(&it, &raw_options(Mode::Read)).unwrap();
                let name = it.display().to_string();
                assert_eq!(image.warnings(), [Warning::Unfinished { name }]);
                drop(image);
                assert!(content(&it, &raw_options(Mode::Read)) == new, "seed {seed}, {n}: read");
                assert!(fs::read(&it).unwrap() == bytes, "reading changes nothing");
                assert!(content(&it, &raw_options(Mode::Write)) == new, "seed {seed}, {n}");
                assert!(fs::read(&it).unwrap() == new && !journal.exists());
            }
        }
        // A journal without its end has changed nothing.
        for _ in 0..40 {
            let cut = index(random.below(u64::try_from(whole.len()).unwrap()));
            let mut part = whole[..cut].to_vec();
            if random.below(2) == 0 {
                part = whole.clone();
                part[cut] ^= 1;
            }
            fs::write(&it, &old).unwrap();
            fs::write(&journal, part).unwrap();
            assert!(content(&it, &raw_options(Mode::Read)) == old && journal.exists());
            assert!(content(&it, &raw_options(Mode::Write)) == old && !journal.exists());
        }
    }
}

#[test]
fn a_journal_that_is_not_of_this_image_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (it, journal) = (folder.path().join("it"), folder.path().join(".it.kiln-redo"));
    let mut random = Random(5);
    let old = raw(folder.path(), &mut random);
    let mut image = DiskImage::open(&it, &raw_options(Mode::Write)).unwrap();
    image.script = Some(Script::new(4));
    image.device().write_at(400_000, &[1; 20_000]).unwrap();
    image.device().write_at(1_400_000, &[1; 20_000]).unwrap();
    assert!(image.commit().is_err());
    let whole = fs::read(&journal).unwrap();
    let refused = |why: &str| {
        for mode in [Mode::Read, Mode::Write] {
            let before = fs::read(&it).unwrap();
            let error = DiskImage::open(&it, &raw_options(mode)).unwrap_err();
            let expected =
                format!("an interrupted change of `{}` cannot be finished", it.display());
            assert_eq!(error.to_string(), format!("{expected}: {why}"));
            assert!(error.hint().unwrap().contains(".it.kiln-redo"));
            assert!(fs::read(&it).unwrap() == before);
        }
    };
    // A machine has run on the image since.
    let mut changed = old.clone();
    changed[404_000] ^= 1;
    fs::write(&it, &changed).unwrap();
    let error = DiskImage::open(&it, &raw_options(Mode::Write)).unwrap_err().to_string();
    assert!(error.ends_with("another program has changed the image since"), "{error}");
    assert!(fs::read(&it).unwrap() == changed && journal.exists());
    // Another file has its name.
    fs::rename(&it, folder.path().join("away")).unwrap();
    fs::write(&it, &old).unwrap();
    refused("its journal is of another file that had this name");
    // Others can write it, or it is not what it seems.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o622)).unwrap();
    refused("its journal may be another user's");
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&journal, folder.path().join("link")).unwrap();
    refused("its journal is no file of its own");
    fs::remove_file(&journal).unwrap();
    std::os::unix::fs::symlink("link", &journal).unwrap();
    refused("its journal is a symbolic link");
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    refused("its journal is no file of its own");
    fs::remove_dir(&journal).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::write(&journal, &whole).unwrap();
        std::os::unix::fs::chown(&journal, Some(1), Some(1)).unwrap();
        refused("its journal may be another user's");
    }
}
