// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Large directories, hashed and not.

use kiln_disk::fs::ext::{Attrs, ExtFs, New, Node};
use kiln_testkit::run;

use crate::image::{Image, text, tools};

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

fn name(n: u32) -> Vec<u8> {
    // Lengths from 4 to 60.
    let mut name = format!("{n:04}").into_bytes();
    name.resize(4 + usize::try_from(n * 7 % 57).expect("small"), b'n');
    name
}

fn add(fs: &mut ExtFs, dir: Node, numbers: impl Iterator<Item = u32>) {
    for n in numbers {
        fs.create(dir, &name(n), New::Fifo, &attrs(0o600)).expect("a new name");
    }
}

fn is_hashed(image: &Image, dir: &str) -> bool {
    // Flags: 0x1000 is EXT2_INDEX_FL.
    let stat = image.debugfs(&format!("stat {dir}"));
    let flags = stat.split("Flags: 0x").nth(1).and_then(|rest| rest.split_whitespace().next());
    u32::from_str_radix(flags.expect("flags"), 16).expect("a number") & 0x1000 != 0
}

#[test]
fn new_directories_are_hashed_as_e2fsck_wants_them() {
    if !tools() {
        return;
    }
    for (options, count, levels) in [
        (&["-t", "ext4", "-b", "4096", "-N", "40000"][..], 9000, 0),
        (&["-t", "ext4", "-b", "1024", "-N", "40000"], 9000, 1),
        (&["-t", "ext4", "-b", "1024", "-N", "40000", "-O", "^metadata_csum"], 9000, 1),
        (&["-t", "ext2", "-b", "1024", "-N", "40000"], 9000, 1),
    ] {
        let image = Image::new(options);
        let mut fs = image.edit();
        let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs(0o755)).unwrap();
        add(&mut fs, dir, 0..count);
        fs.close().unwrap();
        image.check();
        assert!(is_hashed(&image, "/d"));
        let dump = image.debugfs("htree_dump /d");
        assert!(dump.contains(&format!("Indirect levels: {levels}")), "{dump:.300}");
        let mut fs = image.edit();
        assert_eq!(fs.list(dir).unwrap().len(), count as usize);
        for n in (0..count).filter(|n| n % 50 != 0) {
            fs.unlink(dir, &name(n)).unwrap();
        }
        fs.close().unwrap();
        image.check();
        let mut fs = image.edit();
        assert_eq!(fs.list(dir).unwrap().len(), count as usize / 50);
        add(&mut fs, dir, 10_000..10_300);
        fs.close().unwrap();
        image.check();
        assert!(is_hashed(&image, "/d"));
    }
}

#[test]
fn without_dir_index_directories_are_plain() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4", "-b", "1024", "-O", "^dir_index"]);
    let mut fs = image.edit();
    let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs(0o755)).unwrap();
    add(&mut fs, dir, 0..500);
    fs.close().unwrap();
    image.check();
    let mut fs = image.edit();
    add(&mut fs, dir, 500..1000);
    fs.close().unwrap();
    image.check();
    assert!(!is_hashed(&image, "/d"));
    assert_eq!(image.edit().list(dir).unwrap().len(), 1000);
}

#[test]
fn a_name_more_in_a_large_directory_writes_few_blocks() {
    if !tools() {
        return;
    }
    for options in
        [&["-t", "ext4", "-b", "4096"][..], &["-t", "ext4", "-b", "4096", "-O", "^dir_index"]]
    {
        let image = Image::new(options);
        let mut fs = image.edit();
        let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs(0o755)).unwrap();
        let sub = fs.create(dir, b"sub", New::Directory, &attrs(0o755)).unwrap();
        add(&mut fs, dir, 0..3000);
        fs.close().unwrap();
        // As e2fsck makes it: leaves that are nearly full.
        let _ = run(&["e2fsck", "-fyD", text(&image.path())]);
        image.check();
        let before = std::fs::read(image.path()).unwrap();
        let mut fs = image.edit();
        fs.unlink(dir, &name(77)).unwrap();
        add(&mut fs, dir, std::iter::once(77));
        fs.rename((dir, b"sub"), (Node::ROOT, b"moved")).unwrap();
        add(&mut fs, sub, std::iter::once(1));
        fs.close().unwrap();
        image.check();
        let after = std::fs::read(image.path()).unwrap();
        let changed = before.chunks(4096).zip(after.chunks(4096)).filter(|(a, b)| a != b).count();
        // Superblock, descriptors, inode bitmap, two blocks of inodes, the root, the directory
        // that moved, and the leaves of two names.
        assert!(changed <= 10, "{changed} blocks");
        assert_eq!(image.edit().list(dir).unwrap().len(), 3000);
    }
}

#[test]
fn directories_that_contradict_themselves_are_named() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4", "-b", "4096", "-O", "^metadata_csum"]);
    let mut fs = image.edit();
    let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs(0o755)).unwrap();
    add(&mut fs, dir, 0..3);
    fs.close().unwrap();
    let block: u64 = image.debugfs("bmap /d 0").trim().parse().unwrap();
    let whole = std::fs::read(image.path()).unwrap();
    let inode = dir.number();
    let with = |at: u64, bytes: &[u8]| {
        let file = std::fs::File::options().write(true).open(image.path()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &whole, 0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, block * 4096 + at).unwrap();
        image.edit()
    };
    let error = |mut fs: ExtFs| fs.list(dir).unwrap_err().to_string();
    // The entries: 12 bytes each for the dots, then `0000`, `0001nnnnnnn`.
    let damaged = format!("the file system is damaged: inode {inode} is ");
    assert_eq!(
        error(with(24 + 8, b"../x")),
        damaged.clone() + "a directory with a name that cannot be"
    );
    assert_eq!(error(with(24 + 4, &[3, 0])), damaged.clone() + "no true directory");
    // `.` and `..` later on are nothing that leads anywhere.
    let mut fs = with(24 + 6, &[2]);
    let listed = fs.list(dir).unwrap();
    assert_eq!(listed.len(), 3);
    // The same name twice: shown, and not changed.
    let mut fs = with(24 + 12 + 6, &[4, 0, b'0', b'0', b'0', b'0']);
    assert_eq!(fs.list(dir).unwrap().len(), 2);
    assert_eq!(
        fs.unlink(dir, b"0000").unwrap_err().to_string(),
        damaged + "a directory with a name twice"
    );
}
