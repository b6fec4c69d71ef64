// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks of another size: the table as sfdisk sees it, the file system as e2fsck does, the files
//! as debugfs does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use kiln_disk::fs::ContentKind;
use kiln_disk::image::{DiskImage, Mode, OpenOptions};
use kiln_disk::resize::{PartitionChange, Resize, ResizeError, Resized, Which, resize};
use kiln_host::RealHost;
use kiln_spec::Bytes;
use kiln_testkit::{need_program, run};

const MIB: u64 = 1 << 20;

fn tools() -> bool {
    ["sfdisk", "sgdisk", "mke2fs", "e2fsck", "resize2fs", "debugfs", "qemu-img", "dd"]
        .iter()
        .all(|program| need_program(program))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

fn sh(script: &str) -> String {
    run(&["sh", "-c", script]).success().stdout
}

/// Makes a disk of `mib` MiB with the table of `script`, and an ext4 with a file in partition
/// `root`, whose sectors are `place`.
fn disk(folder: &Path, mib: u64, script: &str, place: (u64, u64)) -> PathBuf {
    let (tree, fs, path) = (folder.join("tree"), folder.join("fs"), folder.join("disk.raw"));
    fs::create_dir_all(&tree).expect("a folder");
    fs::write(tree.join("file"), vec![b'x'; 3 << 20]).expect("room");
    let (start, len) = place;
    sh(&format!(
        "truncate -s {mib}M {0} && printf '{script}' | sfdisk -q --no-tell-kernel {0} && \
         mke2fs -q -F -t ext4 -L root -d {1} {2} {3}k && \
         dd if={2} of={0} bs=512 seek={start} conv=notrunc,sparse status=none",
        text(&path),
        text(&tree),
        text(&fs),
        len / 2
    ));
    path
}

fn change(path: &Path, wanted: Resize) -> Result<Resized, ResizeError> {
    let options = OpenOptions { mode: Mode::Write, ..OpenOptions::default() };
    let mut disk = DiskImage::open(path, &options).expect("the disk");
    let scratch = tempfile::tempdir().expect("a folder");
    let done = resize(&mut disk, &wanted, (&RealHost, scratch.path()), &mut |_| ())?;
    disk.commit().expect("room");
    Ok(done)
}

/// Checks the file system of a partition, its size in MiB, and that its file is whole.
fn sound(folder: &Path, path: &Path, number: u32, mib: u64) {
    let raw = folder.join("check.raw");
    sh(&format!("qemu-img convert -O raw {} {}", text(path), text(&raw)));
    let dump = sh(&format!("sfdisk --verify {0} >&2 && sfdisk --dump {0}", text(&raw)));
    let line = dump
        .lines()
        .find(|line| line.starts_with(&format!("{}{number} ", text(&raw))))
        .unwrap_or_else(|| panic!("{dump}"));
    let field = |name: &str| -> u64 {
        let at = line.find(name).expect("a field") + name.len();
        let digits: String =
            line[at..].trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let (start, size) = (field("start="), field("size="));
    assert_eq!(size / 2048, mib, "{line}");
    let part = folder.join("check.part");
    sh(&format!(
        "dd if={} of={} bs=1M skip={} count={} iflag=skip_bytes,count_bytes conv=sparse status=none",
        text(&raw),
        text(&part),
        start * 512,
        size * 512
    ));
    let checked = run(&["e2fsck", "-fn", text(&part)]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let info = sh(&format!("dumpe2fs -h {} 2>/dev/null", text(&part)));
    let blocks = |name: &str| -> u64 {
        let line = info.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_whitespace().last().and_then(|n| n.parse().ok()).expect("a number")
    };
    assert_eq!(blocks("Block count:") * blocks("Block size:") / MIB, mib);
    let file = sh(&format!("debugfs -R 'cat /file' {} 2>/dev/null", text(&part)));
    assert!(file.len() == 3 << 20 && file.bytes().all(|byte| byte == b'x'));
}

const GPT: &str = "label: gpt\\nsize=1M,name=bios\\n4:start=4096,size=131072,name=root\\n";

#[test]
fn a_disk_grows_with_its_last_partition_and_its_file_system() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let raw = disk(folder, 80, GPT, (4096, 131_072));
    let qcow2 = folder.join("disk.qcow2");
    sh(&format!("qemu-img convert -O qcow2 {} {}", text(&raw), text(&qcow2)));
    for path in [&raw, &qcow2] {
        let wanted = Resize { size: 300 * MIB, which: Which::Last, shrink: false };
        let done = change(path, wanted).unwrap();
        let partition = PartitionChange { number: 4, old: Bytes(64 * MIB), new: Bytes(297 * MIB) };
        assert_eq!((done.old_size, done.size), (Bytes(80 * MIB), Bytes(300 * MIB)));
        assert_eq!(done.partition, Some(partition));
        assert_eq!(done.content, Some(ContentKind::Ext4));
        assert_eq!(done.file_system, Some(Bytes(297 * MIB)));
        sound(folder, path, 4, 297);
        // Again: nothing to do.
        assert_eq!(change(path, wanted).unwrap().partition.map(|p| p.new), Some(Bytes(297 * MIB)));
        // And smaller than it was.
        let wanted = Resize { size: 60 * MIB, which: Which::Last, shrink: true };
        let done = change(path, wanted).unwrap();
        assert_eq!(done.partition.map(|change| change.new), Some(Bytes(57 * MIB)));
        sound(folder, path, 4, 57);
        let checked = run(&["sgdisk", "-v", text(&folder.join("check.raw"))]).success();
        assert!(checked.stdout.contains("No problems found."), "{}", checked.stdout);
    }
    drop(run(&["qemu-img", "check", text(&qcow2)]).success());
    assert_eq!(fs::metadata(&raw).unwrap().len(), 60 * MIB);
}

#[test]
fn logical_partitions_go_with_their_disk() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let script = "label: dos\\nstart=2048,size=2048\\nstart=4096,size=131072,type=5\\n\
                  start=6144,size=129024\\n";
    let path = disk(folder, 80, script, (6144, 129_024));
    let wanted = Resize { size: 200 * MIB, which: Which::Last, shrink: false };
    let done = change(&path, wanted).unwrap();
    assert_eq!(
        done.partition.map(|change| (change.number, change.new)),
        Some((5, Bytes(197 * MIB)))
    );
    sound(folder, &path, 5, 197);
    let wanted = Resize { size: 40 * MIB, which: Which::Last, shrink: true };
    change(&path, wanted).unwrap();
    sound(folder, &path, 5, 37);
}

#[test]
fn a_file_system_on_the_whole_disk_goes_with_it() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fs.raw");
    drop(run(&["mke2fs", "-q", "-F", "-t", "ext4", text(&path), "32M"]).success());
    for (mib, shrink) in [(100, false), (20, true)] {
        let wanted = Resize { size: mib * MIB, which: Which::Last, shrink };
        let done = change(&path, wanted).unwrap();
        assert_eq!((done.partition, done.file_system), (None, Some(Bytes(mib * MIB))));
        assert_eq!(run(&["e2fsck", "-fn", text(&path)]).code, 0);
    }
}

#[test]
fn what_cannot_be_is_refused_and_the_disk_stays() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let script = "label: gpt\\nstart=2048,size=65536\\nstart=67584,size=20480\\n";
    let path = disk(folder, 60, script, (2048, 65_536));
    let swap =
        format!("dd if=/dev/zero of={} bs=1M count=10 status=none", text(&folder.join("swap")));
    sh(&format!(
        "{swap} && mkswap -q {0} && dd if={0} of={1} bs=512 seek=67584 conv=notrunc status=none",
        text(&folder.join("swap")),
        text(&path)
    ));
    let before = fs::read(&path).unwrap();
    let error = |size: u64, which, shrink| {
        change(&path, Resize { size: size * MIB, which, shrink }).unwrap_err().to_string()
    };
    assert_eq!(error(50, Which::Last, false), "the disk has 60 MiB, and 50 MiB are less");
    assert_eq!(error(40, Which::Last, true), "partition 2 is swap, which cannot be made smaller");
    assert_eq!(
        error(90, Which::Number(1), false),
        "partition 1 cannot grow: partition 2 is behind it"
    );
    assert_eq!(error(90, Which::Number(3), false), "the disk has no partition 3");
    let small = error(30, Which::None, true);
    assert!(small.starts_with("a disk of 30 MiB has no room for partition "), "{small}");
    assert!(fs::read(&path).unwrap() == before);
    // What is not ext grows its partition, and is left for the guest to grow.
    let done = change(&path, Resize { size: 90 * MIB, which: Which::Last, shrink: false }).unwrap();
    assert_eq!((done.content, done.file_system), (Some(ContentKind::Swap), None));
    assert!(!done.leaves_room());
    // A file system that has no room in so little is named with what it needs.
    let folder = tempfile::tempdir().unwrap();
    let path = disk(folder.path(), 80, GPT, (4096, 131_072));
    let wanted = Resize { size: 6 * MIB, which: Which::Last, shrink: true };
    let error = change(&path, wanted).unwrap_err();
    assert!(matches!(error, ResizeError::TooSmall { .. }), "{error}");
    assert_eq!(File::open(&path).unwrap().metadata().unwrap().len(), 80 * MIB);
}
