// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images in use by others, images that lead elsewhere, damaged and huge ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_disk::device::{Device, RawFile};
use kiln_disk::format::qcow2::{most_of, overlay, size_in};
use kiln_disk::image::{Backing, DiskImage, FormatName, ImageError, Mode, OpenOptions, Warning};
use kiln_spec::Bytes;
use kiln_testkit::{Folder, need, need_program, need_root, run};

/// Runs a command of qemu-io on `@it`.
fn qemu_io(folder: &Folder, command: &str) {
    drop(run(&["qemu-io", "-c", command, &folder.text("it")]).success());
}

fn in_mode(mode: Mode) -> OpenOptions {
    OpenOptions { mode, skip_sync: true, ..OpenOptions::default() }
}

fn raw(mode: Mode) -> OpenOptions {
    OpenOptions { format: Some(FormatName::Raw), ..in_mode(mode) }
}

fn open(path: &Path, mode: Mode) -> Result<DiskImage, ImageError> {
    DiskImage::open(path, &in_mode(mode))
}

/// `qemu-nbd` that has an image open until this is dropped.
struct Nbd {
    _folder: tempfile::TempDir,
    image: PathBuf,
    pid: u32,
}

impl Nbd {
    fn serve(image: &Path, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, pid) = (folder.path().join("socket"), folder.path().join("pid"));
        let mut argv = vec!["qemu-nbd", "--fork", "--persistent", "-k", socket.to_str().unwrap()];
        argv.extend(["--pid-file", pid.to_str().unwrap()]);
        argv.extend(more.split_whitespace());
        argv.push(image.to_str().unwrap());
        // With --fork it returns when it has the image.
        let _ = run(&argv).success();
        let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        Self { _folder: folder, image: image.to_owned(), pid }
    }
}

impl Drop for Nbd {
    fn drop(&mut self) {
        let _ = run(&["kill", &self.pid.to_string()]);
        let since = Instant::now();
        // A process has its files for a while after it has no program any more: the locks count.
        while matches!(open(&self.image, Mode::Write), Err(ImageError::InUse { .. })) {
            if since.elapsed() > Duration::from_secs(60) {
                break;
            }
            std::thread::yield_now();
        }
    }
}

#[test]
fn an_image_in_use_by_qemu_is_not_changed() {
    if !need_program("qemu-nbd") {
        return;
    }
    let folder = Folder::new();
    folder.run("qemu-img create -q -f qcow2 @it 8M");
    let it = folder.path("it");
    let name = it.display().to_string();
    {
        let nbd = Nbd::serve(&it, "-f qcow2");
        let error = open(&it, Mode::Write).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{name}` is in use by process {} (`qemu-nbd`)", nbd.pid)
        );
        for mode in [Mode::Read, Mode::Scratch] {
            let image = open(&it, mode).unwrap();
            let [Warning::InUse { holders, .. }] = image.warnings() else {
                panic!("{:?}", image.warnings());
            };
            let named = format!("process {} (`qemu-nbd`)", nbd.pid);
            assert_eq!(holders[0].to_string(), named);
            assert!(image.warnings()[0].to_string().contains("may change while it is read"));
        }
    }
    {
        // Who only reads it is no reason to warn, and one not to change it.
        let _nbd = Nbd::serve(&it, "-f qcow2 -r");
        assert_eq!(open(&it, Mode::Read).unwrap().warnings(), []);
        assert!(matches!(open(&it, Mode::Write), Err(ImageError::InUse { .. })));
    }
    let image = open(&it, Mode::Write).unwrap();
    let device = image.device();
    for words in ["qemu-img info @it", "qemu-img resize @it 9M"] {
        let refused = folder.try_run(words);
        assert!(refused.code != 0 && refused.stderr.contains("lock"), "{words}: {refused:?}");
    }
    assert!(matches!(open(&it, Mode::Write), Err(ImageError::InUse { .. })));
    drop(image);
    assert!(matches!(open(&it, Mode::Write), Err(ImageError::InUse { .. })), "a device is left");
    drop(device);
    {
        let _reading = open(&it, Mode::Read).unwrap();
        let _too = open(&it, Mode::Read).unwrap();
        folder.run("qemu-img info @it");
        assert!(folder.try_run("qemu-img resize @it 9M").code != 0);
    }
    folder.run("qemu-img resize -q @it 9M");
    // A backing file is as much in use as the image over it.
    folder.run("qemu-img create -q -f qcow2 -F qcow2 -b it @over");
    let options = OpenOptions { backing: Backing::Follow, ..in_mode(Mode::Write) };
    let _over = DiskImage::open(&folder.path("over"), &options).unwrap();
    assert!(folder.try_run("qemu-img resize @it 10M").code != 0);
    folder.run("qemu-img info @it");
}

#[test]
fn chains_that_lead_elsewhere_are_refused() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    let follow = OpenOptions { backing: Backing::Follow, ..in_mode(Mode::Read) };
    let it = folder.path("it");
    let name = it.display();
    let refused = |backing: &str, format: &str, expected: &str| {
        let make = |words: &str| folder.run(words);
        make("qemu-img create -q -f qcow2 @it 4M");
        let format = if format.is_empty() { String::new() } else { format!("-F {format}") };
        if backing.contains('{') {
            let it = folder.path("it");
            let words = ["qemu-img", "rebase", "-u", "-F", "raw", "-b", backing];
            let _ = run(&[&words[..], &[it.to_str().unwrap()]].concat()).success();
        } else {
            make(&format!("qemu-img rebase -u {format} -b {backing} @it"));
        }
        let error = DiskImage::open(&it, &follow).unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        assert!(text.starts_with(expected), "{text}, not {expected}");
        assert!(open(&it, Mode::Read).unwrap_err().to_string().contains("needs its backing file"));
    };
    let of = |backing: &str| format!("could not open `{backing}`, the backing file of `{name}`");
    refused("gone", "raw", &format!("{}: could not open `", of("gone")));
    refused("it", "qcow2", &format!("{}: `{name}` is its own backing file", of("it")));
    refused("/etc", "raw", &format!("{}: `/etc` is neither a file nor a disk", of("/etc")));
    refused("/dev/zero", "raw", &format!("{}: `/dev/zero` is neither", of("/dev/zero")));
    refused("it", "vmdk", &format!("{}: it is in the format `vmdk`", of("it")));
    let nbd = "nbd://localhost/x";
    refused(nbd, "raw", &format!("{}: it is reached by `nbd`", of(nbd)));
    let json = r#"json:{"driver":"file","filename":"/etc/passwd"}"#;
    refused(json, "raw", &format!("{}: it is reached by `json`", of(json)));

    // Without a format in the header, it is not guessed unless the caller wants that.
    folder.run("qemu-img create -q -f qcow2 @base 4M");
    folder.run("qemu-img create -q -f qcow2 -F qcow2 -b base @it");
    let mut bytes = fs::read(&it).unwrap();
    let magic = 0xe279_2aca_u32.to_be_bytes();
    let at = bytes.windows(4).position(|window| window == magic).unwrap();
    bytes[at..at + 4].copy_from_slice(&0x7777_7777_u32.to_be_bytes());
    fs::write(&it, bytes).unwrap();
    let error = DiskImage::open(&it, &follow).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the format of `base`, the backing file of `{name}`, is not told")
    );
    assert!(error.hint().unwrap().starts_with("if you know it"));
    let probing = OpenOptions { probe_backing: true, ..follow.clone() };
    assert_eq!(DiskImage::open(&it, &probing).unwrap().info().layers.len(), 2);
}

#[test]
fn a_long_chain_is_read_and_an_endless_one_is_not() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    folder.run("qemu-img create -q -f qcow2 -o cluster_size=512 @000 1M");
    folder.run("qemu-img create -q -f qcow2 -o cluster_size=512 -F qcow2 -b 000 @it");
    let template = fs::read(folder.path("it")).unwrap();
    let at = template.windows(3).position(|window| window == b"000").unwrap();
    for n in 1..=205 {
        let mut bytes = template.clone();
        bytes[at..at + 3].copy_from_slice(format!("{:03}", n - 1).as_bytes());
        fs::write(folder.path(&format!("{n:03}")), bytes).unwrap();
    }
    let follow = OpenOptions { backing: Backing::Follow, ..in_mode(Mode::Read) };
    let image = DiskImage::open(&folder.path("199"), &follow).unwrap();
    assert_eq!(image.info().layers.len(), 200);
    let mut all = vec![1; 1 << 20];
    image.device().read_at(0, &mut all).unwrap();
    assert!(all.iter().all(|&byte| byte == 0));
    let error = DiskImage::open(&folder.path("200"), &follow).unwrap_err();
    let ImageError::Backing { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "there are more than 200 backing files");
}

#[test]
fn marks_decide_as_for_qemu() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    let it = folder.path("it");
    folder.run("qemu-img create -q -f qcow2 -o lazy_refcounts=on @it 4M");
    // Killed, it leaves reference counts that are not right, and says so.
    let text = it.to_str().unwrap();
    let _ = run(&["qemu-io", "-c", "write -P 3 1M 300k", "-c", "abort", text]);
    assert!(fs::read(&it).unwrap()[79] & 1 == 1);
    let mut byte = [0];
    open(&it, Mode::Read).unwrap().device().read_at(1 << 20, &mut byte).unwrap();
    assert_eq!(byte, [3]);
    let image = open(&it, Mode::Write).unwrap();
    image.device().write_at(0, b"new").unwrap();
    image.commit().unwrap();
    assert!(fs::read(&it).unwrap()[79] & 1 == 0);
    folder.run("qemu-img check -q @it");
    qemu_io(&folder, "read -P 3 1M 300k");

    let mut bytes = fs::read(&it).unwrap();
    bytes[79] |= 2;
    fs::write(&it, bytes).unwrap();
    let error = open(&it, Mode::Write).unwrap_err().to_string();
    assert_eq!(error, format!("`{text}` is marked as corrupt"));
    let name = text.to_owned();
    assert_eq!(open(&it, Mode::Read).unwrap().warnings(), [Warning::Corrupt { name }]);

    folder.run("qemu-img create -q -f qcow2 @it 4M");
    folder.run("qemu-img bitmap --add @it one");
    open(&it, Mode::Read).unwrap();
    let error = open(&it, Mode::Write).unwrap_err();
    assert!(error.to_string().contains("it has persistent bitmaps"), "{error}");
    assert!(error.hint().unwrap().contains("qemu-img bitmap --remove"));
    folder.run("qemu-img bitmap --remove @it one");
    let image = open(&it, Mode::Write).unwrap();
    image.device().write_at(0, b"new").unwrap();
    image.commit().unwrap();
    folder.run("qemu-img check -q @it");

    let secret = "--object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s";
    folder.run(&format!("qemu-img create -q -f qcow2 {secret},encrypt.iter-time=10 @it 4M"));
    folder.run("qemu-img create -q -f qcow2 -o data_file=@data @split 4M");
    for mode in [Mode::Read, Mode::Write] {
        let error = open(&it, mode).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is encrypted"));
        let error = open(&folder.path("split"), mode).unwrap_err().to_string();
        assert!(error.contains("its data is in `"), "{error}");
    }
}

#[test]
fn what_is_not_committed_is_gone() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    folder.run("qemu-img create -q -f qcow2 @it 4M");
    let it = folder.path("it");
    let before = fs::read(&it).unwrap();
    let image = open(&it, Mode::Write).unwrap();
    image.device().write_at(5, b"new").unwrap();
    drop(image);
    let image = open(&it, Mode::Scratch).unwrap();
    image.device().write_at(5, b"new").unwrap();
    assert!(image.is_changed());
    assert!(matches!(image.commit(), Err(ImageError::ReadOnly { .. })));
    let image = open(&it, Mode::Read).unwrap();
    assert!(image.device().write_at(5, b"new").is_err());
    drop(image);
    // What is the same afterwards is not written at all.
    let image = open(&it, Mode::Write).unwrap();
    image.device().write_at(5, &[0; 100_000]).unwrap();
    image.device().discard(0, 4 << 20).unwrap();
    image.commit().unwrap();
    assert!(fs::read(&it).unwrap() == before);
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1);
}

#[test]
fn a_huge_image_is_changed_at_once() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    folder.run("qemu-img create -q -f qcow2 @it 10T");
    let since = Instant::now();
    let mut image = open(&folder.path("it"), Mode::Write).unwrap();
    image.device().discard(0, 10 << 40).unwrap();
    for n in 0..10_u64 {
        image.device().write_at((n << 40) + 77, b"here").unwrap();
    }
    image.resize_virtual(11 << 40).unwrap();
    image.device().write_at((11 << 40) - 4, b"last").unwrap();
    image.commit().unwrap();
    let took = since.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    folder.run("qemu-img check -q @it");
    let mut got = [0; 4];
    let device = open(&folder.path("it"), Mode::Read).unwrap().device();
    for (at, expected) in [(9 << 40, *b"here"), ((11 << 40) - 81, *b"last")] {
        device.clone().read_at(at + 77, &mut got).unwrap();
        assert_eq!(got, expected);
    }
    assert!(device.clone().extent(1 << 30).unwrap().len > 1 << 30);
    drop(device);
    let mut image = open(&folder.path("it"), Mode::Write).unwrap();
    image.resize_virtual(1 << 40).unwrap();
    image.commit().unwrap();
    folder.run("qemu-img check -q @it");
}

/// Knuth's MMIX numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 24) % n).unwrap()
    }
}

/// Where there seem to be entries of tables, or reference counts.
fn tables(image: &[u8]) -> Vec<usize> {
    let is_entry = |number: u64| {
        let at = number & 0x00ff_ffff_ffff_fe00;
        let inside = usize::try_from(at).unwrap() < image.len();
        let packed = number >> 62 == 1 && (number & 0xffff_ffff) < 4 << 20;
        let counts = number != 0 && number & 0xfffc_fffc_fffc_fffc == 0;
        (at != 0 && inside) || packed || counts
    };
    let numbers = image.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
    numbers.enumerate().filter(|(_, number)| is_entry(*number)).map(|(n, _)| n * 8).collect()
}

/// Whatever the tables say, there is an end, and an image that is refused stays as it was.
#[test]
fn damaged_images_are_refused_or_changed_and_never_a_panic() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    let it = folder.path("it");
    let mut refused = 0;
    for (seed, options) in [
        (1, "-o cluster_size=4k"),
        (2, "-o cluster_size=512,refcount_bits=1"),
        (3, "-o cluster_size=4k,lazy_refcounts=on"),
        (4, "-o cluster_size=16k,extended_l2=on"),
    ] {
        folder.run(&format!("qemu-img create -q -f qcow2 {options} @it 4M"));
        let kind = if options.contains("512") { "" } else { "-c " };
        qemu_io(&folder, "write -P 1 100k 300k");
        qemu_io(&folder, &format!("write {kind}-P 2 1M 16k"));
        if !options.contains("=1") {
            folder.run("qemu-img snapshot -c one @it");
            qemu_io(&folder, "write -P 3 200k 300k");
        }
        let mut good = fs::read(&it).unwrap();
        if options.contains("lazy") {
            good[79] |= 1;
        }
        let tables = tables(&good);
        assert!(tables.len() > 30, "{options}: {}", tables.len());
        let mut random = Random(seed);
        for round in 0..150 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                let at = match random.below(6) {
                    0 => random.below(112),
                    _ => tables[random.below(u64::try_from(tables.len()).unwrap())],
                };
                let at = at + random.below(8);
                bytes[at] = [0, 1, 2, 0x80, 0xff, 0x40, bytes[at] ^ 1][random.below(7)];
            }
            fs::write(&it, &bytes).unwrap();
            let since = Instant::now();
            let done = open(&it, Mode::Write).and_then(|mut image| {
                let mut device = image.device();
                let _ = device.write_at(90_000, &[7; 50_000]);
                let _ = device.discard(1 << 20, 40_000);
                if round % 3 == 0 {
                    image.resize_virtual([1 << 20, 6 << 20][round % 2])?;
                }
                image.commit()
            });
            assert!(since.elapsed() < Duration::from_secs(5));
            if let Err(error) = done {
                refused += 1;
                assert!(!error.to_string().is_empty());
                let now = fs::read(&it).unwrap();
                assert!(now == bytes || now.len() == bytes.len(), "{options}: {error}");
                assert!(now[..104] == bytes[..104], "{options}: {error}");
            }
        }
    }
    assert!((60..600).contains(&refused), "{refused} of 600 refused");
}

#[test]
fn raw_images_are_changed_like_a_vector_and_keep_their_holes() {
    let folder = Folder::new();
    let it = folder.path("it");
    File::create(&it).unwrap().set_len((9 << 20) + 512).unwrap();
    let mut disk = vec![0; (9 << 20) + 512];
    let mut random = Random(3);
    for round in 0..12 {
        let mut image = DiskImage::open(&it, &raw(Mode::Write)).unwrap();
        let mut device = image.device();
        for n in 0..10 {
            let at = random.below(u64::try_from(disk.len()).unwrap());
            let len = (1 + random.below(400_000)).min(disk.len() - at);
            let (from, count) = (u64::try_from(at).unwrap(), u64::try_from(len).unwrap());
            let byte = u8::try_from(random.below(3)).unwrap();
            if n % 3 == 0 {
                device.discard(from, count).unwrap();
                disk[at..at + len].fill(0);
            } else {
                device.write_at(from, &vec![byte; len]).unwrap();
                disk[at..at + len].fill(byte);
            }
        }
        if round % 4 == 3 {
            let size = 512 * (8000 + random.below(12_000));
            image.resize_virtual(u64::try_from(size).unwrap()).unwrap();
            disk.resize(size, 0);
        }
        image.commit().unwrap();
        assert!(fs::read(&it).unwrap() == disk, "{round}");
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "no journal is left");
    let image = DiskImage::open(&it, &raw(Mode::Write)).unwrap();
    image.device().discard(0, image.device().size()).unwrap();
    image.commit().unwrap();
    let image = DiskImage::open(&it, &raw(Mode::Write)).unwrap();
    image.device().write_at(0, &[0; 1 << 20]).unwrap();
    image.commit().unwrap();
    let mut file = RawFile::new(File::open(&it).unwrap()).unwrap();
    let size = file.size();
    assert_eq!((file.extent(0).unwrap().len, file.extent(0).unwrap().zeros), (size, true));
}

#[test]
fn a_disk_of_the_host_is_changed_with_its_journal_elsewhere() {
    if !need_program("losetup") || !need_root("loop devices") {
        return;
    }
    let folder = Folder::new();
    File::create(folder.path("it")).unwrap().set_len(4 << 20).unwrap();
    let attached = folder.try_run("losetup --show -f @it");
    if !need(attached.code == 0, "a loop device") {
        return;
    }
    let disk = PathBuf::from(attached.stdout.trim());
    let image = DiskImage::open(&disk, &raw(Mode::Write)).unwrap();
    image.device().write_at(5000, b"here").unwrap();
    let without = image.commit().unwrap_err();
    let options = OpenOptions { journal_folder: Some(folder.path("")), ..raw(Mode::Write) };
    let mut image = DiskImage::open(&disk, &options).unwrap();
    assert_eq!(image.info().virtual_size.0, 4 << 20);
    let fixed = image.resize_virtual(8 << 20);
    image.device().write_at(5000, b"here").unwrap();
    image.device().discard(1 << 20, 1 << 20).unwrap();
    let done = image.commit();
    let mut got = [0; 4];
    let read = DiskImage::open(&disk, &raw(Mode::Read)).unwrap().device().read_at(5000, &mut got);
    let _ = run(&["losetup", "-d", disk.to_str().unwrap()]);
    assert!(without.to_string().starts_with("could not write `/dev/loop"), "{without}");
    assert!(matches!(fixed, Err(ImageError::Size { .. })));
    done.unwrap();
    read.unwrap();
    assert_eq!(&got, b"here");
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "no journal is left");
}

/// A device that is to be an image over another, of which only the first bytes are written.
#[test]
fn the_tables_of_an_overlay_are_all_that_a_device_needs() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    folder.run("qemu-img create -q -f qcow2 @base 3M");
    let base = folder.text("base");
    drop(run(&["qemu-io", "-c", "write -P 7 0 3M", &base]).success());
    for (mib, shown) in [(3, 3 << 20), (70, 70 << 20), (700, 700 << 20)] {
        let size = Bytes::from_mib(mib);
        let tables = overlay(size, (&base, "qcow2")).unwrap();
        assert_eq!((size_in(&tables), size_in(b"QFI\xfb")), (Some(size), None));
        // Full of what was there before, as a volume of LVM is.
        let length = usize::try_from(most_of(size).0).unwrap();
        let mut device = vec![0xa5; if mib == 70 { length } else { tables.len() }];
        device[..tables.len()].copy_from_slice(&tables);
        fs::write(folder.path("it"), device).unwrap();
        let info = folder.run("qemu-img info --output json @it");
        assert!(info.contains(&format!("\"virtual-size\": {shown},")), "{info}");
        assert!(info.contains("\"backing-filename-format\": \"qcow2\""), "{info}");
        folder.run("qemu-img check -q @it");
        qemu_io(&folder, "read -P 7 0 3M");
        if mib == 70 {
            // All of it fits, and what was there before shows nowhere.
            qemu_io(&folder, "read -P 0 3M 67M");
            qemu_io(&folder, "write -P 9 0 70M");
            qemu_io(&folder, "read -P 9 0 70M");
            folder.run("qemu-img check -q @it");
            assert_eq!(fs::metadata(folder.path("it")).unwrap().len(), most_of(size).0);
        }
    }
    assert!(overlay(Bytes(1 << 60), (&base, "qcow2")).is_err());
    assert!(overlay(Bytes(1), (&"x".repeat(1024), "raw")).is_err());
}
