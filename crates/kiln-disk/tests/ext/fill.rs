// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filling a file system that was just made.

use std::fs::File;
use std::path::PathBuf;

use kiln_disk::device::{RawFile, Window};
use kiln_disk::fs::ext::{Access, Attrs, Contents, ExtError, ExtFs, Kind, New, Node, Time};
use kiln_host::tools::mke2fs::{Ext4, make};
use kiln_host::{Host, RealHost};
use kiln_testkit::run;

use crate::image::tools;

const NOW: i64 = 1_700_000_000;
const OFFSET: u64 = 1 << 20;

/// A file system in a file, not at its beginning.
struct Image {
    _folder: tempfile::TempDir,
    path: PathBuf,
    size: u64,
}

impl Image {
    fn new(size: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("d.raw");
        let file = File::create_new(&path).expect("a new file");
        file.set_len(OFFSET + size).expect("a sparse file");
        let uuid = "01020304-0506-0708-090a-0b0c0d0e0f10".to_owned();
        let time = 1_700_000_000;
        let hash_seed = uuid.clone();
        let ext4 = Ext4 { offset: OFFSET, size, label: "root".into(), uuid, time, hash_seed };
        RealHost.run(&make(&path, &ext4)).expect("an empty file system");
        Self { _folder: folder, path, size }
    }

    fn open(&self, access: Access) -> Result<ExtFs, ExtError> {
        let file = File::options().read(true).write(true).open(&self.path).expect("the image");
        let raw = RawFile::new(file).expect("a device");
        let window = Window::new(raw, OFFSET, self.size).expect("a part of it");
        ExtFs::open(Box::new(window), access)
    }

    fn edit(&self) -> ExtFs {
        self.open(Access::Write { now: NOW }).expect("a clean file system")
    }

    fn name(&self) -> String {
        format!("{}?offset={OFFSET}", self.path.display())
    }

    #[track_caller]
    fn check(&self) {
        let out = run(&["e2fsck", "-fn", &self.name()]);
        assert_eq!(out.code, 0, "{}{}", out.stdout, out.stderr);
    }

    fn debugfs(&self, command: &str) -> String {
        run(&["debugfs", "-R", command, &self.name()]).success().stdout
    }
}

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, uid: 0, gid: 0, mtime: Time { seconds: NOW, nanos: 0 } }
}

fn write(fs: &mut ExtFs, dir: Node, name: &str, bytes: &[u8]) -> Node {
    let contents = Contents { size: bytes.len() as u64, data: &mut &*bytes };
    fs.create_file(dir, name.as_bytes(), &attrs(0o644), contents).expect("a new file")
}

#[test]
fn every_kind_of_thing_is_as_debugfs_sees_it() {
    if !tools() {
        return;
    }
    let image = Image::new(64 << 20);
    let mut fs = image.edit();
    let mtime = Time { seconds: 5_000_000_000, nanos: 123_456_789 };
    let odd = Attrs { mode: 0o4751, uid: 0x0012_3456, gid: 0x0065_4321, mtime };
    let contents = Contents { size: 6, data: &mut &b"hello\n"[..] };
    let file = fs.create_file(Node::ROOT, b"file", &odd, contents).unwrap();
    let dir = fs.create(Node::ROOT, b"dir", New::Directory, &attrs(0o1777)).unwrap();
    fs.link(dir, b"same", file).unwrap();
    fs.create(dir, b"short", New::Symlink(b"../file"), &attrs(0o777)).unwrap();
    fs.create(dir, b"59", New::Symlink(&[b'x'; 59]), &attrs(0o777)).unwrap();
    fs.create(dir, b"60", New::Symlink(&[b'y'; 60]), &attrs(0o777)).unwrap();
    fs.create(dir, b"4095", New::Symlink(&[b'z'; 4095]), &attrs(0o777)).unwrap();
    fs.create(dir, b"null", New::Char(1, 3), &attrs(0o666)).unwrap();
    fs.create(dir, b"disk", New::Block(259, 300), &attrs(0o660)).unwrap();
    fs.create(dir, b"pipe", New::Fifo, &attrs(0o600)).unwrap();
    fs.create(dir, &[0xff; 255], New::Directory, &attrs(0o755)).unwrap();
    fs.close().unwrap();
    image.check();

    let stat = image.debugfs("stat /file");
    for expected in [
        "Type: regular    Mode:  04751",
        "User: 1193046   Group: 6636321",
        "Links: 2",
        "Size: 6",
        // 5,000,000,000 is 0x2a05f200 in the second epoch; (123456789 << 2) | 1.
        "mtime: 0x2a05f200:1d6f3455",
        "crtime: 0x6553f100:00000000",
        "Size of extra inode fields: 32",
    ] {
        assert!(stat.contains(expected), "{expected}: {stat}");
    }
    assert_eq!(image.debugfs("cat /dir/same"), "hello\n");
    assert!(image.debugfs("stat /dir/short").contains("Fast link dest: \"../file\""));
    assert!(image.debugfs("stat /dir/59").contains(&"x".repeat(59)));
    assert!(image.debugfs("stat /dir/60").contains("Blockcount: 8"));
    assert!(image.debugfs("stat /dir/null").contains("Device major/minor number: 01:03"));
    assert!(image.debugfs("stat /dir/disk").contains("Device major/minor number: 259:300"));
    assert!(image.debugfs("stat /dir/pipe").contains("Type: FIFO"));
    assert!(image.debugfs("stat /dir").contains("Mode:  01777"));

    // And our own reader agrees.
    let mut fs = image.open(Access::Read).unwrap();
    let file = fs.lookup(b"/file").unwrap().unwrap();
    let stat = fs.stat(file).unwrap();
    assert_eq!((stat.kind, stat.attrs, stat.size, stat.links), (Kind::File, odd, 6, 2));
    let link = |fs: &mut ExtFs, path: &[u8]| {
        let node = fs.lookup(path).unwrap().unwrap();
        fs.read_link(node).unwrap()
    };
    assert_eq!(link(&mut fs, b"/dir/59"), [b'x'; 59]);
    assert_eq!(link(&mut fs, b"/dir/60"), [b'y'; 60]);
    assert_eq!(link(&mut fs, b"/dir/4095"), [b'z'; 4095]);
    let disk = fs.lookup(b"/dir/disk").unwrap().unwrap();
    assert_eq!(fs.stat(disk).unwrap().device, (259, 300));
    assert_eq!(fs.resolve(b"dir/short").unwrap(), Some(file));
    assert_eq!(fs.resolve(b"/../dir/../../file").unwrap(), Some(file));
}

#[test]
fn attributes_and_access_lists_survive() {
    if !tools() {
        return;
    }
    let image = Image::new(64 << 20);
    // What getfattr -n system.posix_acl_access shows for u::rw,u:1000:rw,g::r,m::rw,o::r.
    let acl: Vec<u8> = [
        &2_u32.to_le_bytes()[..],
        &[1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 232, 3, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255],
        &[32, 0, 4, 0, 255, 255, 255, 255],
    ]
    .concat();
    let large: Vec<(String, Vec<u8>)> =
        (0..30_u8).map(|n| (format!("user.n{n:02}"), vec![n; 100])).collect();
    let small = vec![
        (
            "security.capability".to_owned(),
            b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
        ("system.posix_acl_access".to_owned(), acl),
        ("user.newline".to_owned(), b"a\nb\0c\xff".to_vec()),
    ];
    let mut fs = image.edit();
    let one = write(&mut fs, Node::ROOT, "one", b"1");
    fs.set_xattrs(one, &small).unwrap();
    let two = fs.create(Node::ROOT, b"two", New::Directory, &attrs(0o755)).unwrap();
    fs.set_xattrs(two, &large).unwrap();
    write(&mut fs, two, "in", b"in");
    let too_many: Vec<_> = (0..60_u8).map(|n| (format!("user.x{n}"), vec![n; 100])).collect();
    let three = write(&mut fs, Node::ROOT, "three", b"3");
    let error = fs.set_xattrs(three, &too_many).unwrap_err();
    assert!(matches!(error, ExtError::XattrsTooLarge), "{error:?}");
    fs.close().unwrap();
    image.check();

    assert!(image.debugfs("ea_get -x /one user.newline").contains("61 0a 62 00 63 ff"));
    assert!(image.debugfs("ea_get -x /two user.n29").contains("1d 1d 1d 1d"));
    let mut fs = image.open(Access::Read).unwrap();
    let sorted = |fs: &mut ExtFs, path: &[u8]| {
        let node = fs.lookup(path).unwrap().unwrap();
        let mut all = fs.xattrs(node).unwrap();
        all.sort();
        all
    };
    assert_eq!(sorted(&mut fs, b"two"), large);
    assert_eq!(sorted(&mut fs, b"one"), small);
}

#[test]
fn large_files_and_holes_read_back() {
    if !tools() {
        return;
    }
    let image = Image::new(256 << 20);
    let mut bytes = vec![0_u8; (40 << 20) + 12_345];
    for (index, byte) in (0_u64..).zip(bytes.iter_mut()) {
        // Data for 3 MiB, then 2 MiB of zeros.
        if index / (1 << 20) % 5 < 3 {
            *byte = u8::try_from(index * 7919 % 251).unwrap() | 1;
        }
    }
    let mut fs = image.edit();
    let free = fs.usage().free;
    write(&mut fs, Node::ROOT, "holes", &bytes);
    let taken = free.0 - fs.usage().free.0;
    assert!(taken < 26 << 20, "{taken}");
    write(&mut fs, Node::ROOT, "zeros", &vec![0; 3 << 20]);
    write(&mut fs, Node::ROOT, "block", &[9; 4096]);
    fs.close().unwrap();
    image.check();
    let to = image.path.with_extension("out");
    image.debugfs(&format!("dump /holes {}", to.display()));
    assert!(std::fs::read(to).unwrap() == bytes);
    let mut fs = image.open(Access::Read).unwrap();
    let node = fs.lookup(b"holes").unwrap().unwrap();
    assert!(fs.read_file(node, 1 << 30).unwrap() == bytes);
    let mut part = [0; 100];
    assert_eq!(fs.read_at(node, (40 << 20) + 12_300, &mut part).unwrap(), 45);
    assert_eq!(part[..45], bytes[(40 << 20) + 12_300..]);
    let error = fs.read_file(node, 100).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a file of 41955385 bytes is longer than the 100 that were expected"
    );
}

#[test]
fn a_directory_with_3000_names_and_one_with_70000_directories() {
    if !tools() {
        return;
    }
    let image = Image::new(2 << 30);
    let mut fs = image.edit();
    let many = fs.create(Node::ROOT, b"many", New::Directory, &attrs(0o755)).unwrap();
    for n in 0..3000 {
        write(&mut fs, many, &format!("file-with-a-longish-name-{n:06}.txt"), b"x");
    }
    let dirs = fs.create(Node::ROOT, b"dirs", New::Directory, &attrs(0o755)).unwrap();
    for n in 0..70_000 {
        fs.create(dirs, n.to_string().as_bytes(), New::Directory, &attrs(0o755)).unwrap();
    }
    fs.close().unwrap();
    image.check();
    // More than ext4 counts: dir_nlink.
    assert!(image.debugfs("stat /dirs").contains("Links: 1 "));
    let mut fs = image.open(Access::Read).unwrap();
    let many = fs.lookup(b"many").unwrap().unwrap();
    assert_eq!(fs.list(many).unwrap().len(), 3000);
    assert!(fs.lookup(b"/dirs/69999").unwrap().is_some());
}

#[test]
fn what_another_program_made_can_be_changed() {
    if !tools() {
        return;
    }
    let image = Image::new(64 << 20);
    // A hashed directory of the kernel's or debugfs's making, in old and new layout.
    let script = image.path.with_extension("cmd");
    let big = image.path.with_extension("big");
    std::fs::write(&big, vec![5; 3 << 20]).unwrap();
    let mut commands = format!("mkdir old\nwrite {} old/big\n", big.display());
    for n in 0..400 {
        commands += &format!("symlink old/a-link-with-a-long-name-{n:04} target\n");
    }
    std::fs::write(&script, commands).unwrap();
    let name = image.name();
    let _ = run(&["debugfs", "-w", "-f", script.to_str().unwrap(), &name]).success();
    let mut fs = image.edit();
    let before = fs.usage();
    let old = fs.lookup(b"old").unwrap().unwrap();
    assert_eq!(fs.list(old).unwrap().len(), 401);
    fs.unlink(old, b"big").unwrap();
    for n in 100..400 {
        fs.unlink(old, format!("a-link-with-a-long-name-{n:04}").as_bytes()).unwrap();
    }
    assert_eq!(fs.usage().free.0 - before.free.0, 3 << 20);
    assert_eq!(fs.usage().free_inodes - before.free_inodes, 301);
    write(&mut fs, old, "new", b"new");
    let gone = fs.create(old, b"gone", New::Directory, &attrs(0o755)).unwrap();
    write(&mut fs, gone, "in", b"in");
    let error = fs.unlink(old, b"gone").unwrap_err();
    assert_eq!(error.to_string(), "`gone` is a directory");
    let error = fs.rmdir(old, b"gone").unwrap_err();
    assert_eq!(error.to_string(), "the directory `gone` is not empty");
    let error = fs.rmdir(gone, b"in").unwrap_err();
    assert_eq!(error.to_string(), "`in` is no directory");
    fs.unlink(gone, b"in").unwrap();
    fs.rmdir(old, b"gone").unwrap();
    fs.close().unwrap();
    image.check();
    assert_eq!(image.debugfs("cat /old/new"), "new");
    assert_eq!(image.open(Access::Read).unwrap().list(old).unwrap().len(), 101);
}

#[test]
fn small_blocks_and_file_systems_without_extents_work() {
    if !tools() {
        return;
    }
    for options in [
        &["-t", "ext2", "-b", "1024"][..],
        &["-t", "ext3", "-I", "128"],
        &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"],
    ] {
        let image = Image::new(64 << 20);
        let offset = format!("offset={OFFSET}");
        let path = image.path.to_str().unwrap().to_owned();
        let argv =
            [&["mke2fs", "-q", "-F", "-E", &offset][..], options, &[&path, "65536k"]].concat();
        let _ = run(&argv).success();
        let mut fs = image.edit();
        let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs(0o755)).unwrap();
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1] | 1).collect();
        write(&mut fs, dir, "big", &bytes);
        for n in 0..300 {
            write(&mut fs, dir, &format!("file-with-a-longish-name-{n:04}"), b"small");
        }
        fs.create(dir, b"link", New::Symlink(&[b'l'; 100]), &attrs(0o777)).unwrap();
        fs.close().unwrap();
        image.check();
        let mut fs = image.open(Access::Read).unwrap();
        let big = fs.lookup(b"d/big").unwrap().unwrap();
        assert!(fs.read_file(big, 1 << 30).unwrap() == bytes, "{options:?}");
        let link = fs.lookup(b"d/link").unwrap().unwrap();
        assert_eq!(fs.read_link(link).unwrap(), [b'l'; 100]);
    }
}

#[test]
fn what_must_not_be_written_to_is_refused() {
    if !tools() {
        return;
    }
    let image = Image::new(64 << 20);
    let refused = |image: &Image| image.open(Access::Write { now: NOW }).unwrap_err().to_string();
    let _ = run(&["debugfs", "-w", "-R", "set_super_value state 0", &image.name()]).success();
    assert_eq!(
        refused(&image),
        "the file system may not be written to: it has no journal and was not unmounted; `kiln \
         image check --repair` mends it"
    );
    let _ = run(&["debugfs", "-w", "-R", "set_super_value state 3", &image.name()]).success();
    assert_eq!(
        refused(&image),
        "the file system may not be written to: errors are noted in it; `kiln image check \
         --repair` mends it"
    );
    let mut fs = image.open(Access::Read).unwrap();
    assert!(fs.lookup(b"lost+found").unwrap().is_some());
    drop(fs);
    let first = Image::new(64 << 20);
    let file = File::options().write(true).open(&first.path).unwrap();
    // s_first_data_block; the feature of checksums is taken away, so that nothing else notices.
    let _ = run(&["tune2fs", "-O", "^metadata_csum", &first.name()]).success();
    std::os::unix::fs::FileExt::write_all_at(&file, &[92], OFFSET + 1024 + 0x14).unwrap();
    let error = first.open(Access::Read).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the superblock of the file system is damaged: its first block cannot be the first"
    );
    let empty = RawFile::new(tempfile::tempfile().unwrap()).unwrap();
    let error = ExtFs::open(Box::new(empty), Access::Read).unwrap_err().to_string();
    assert_eq!(error, "could not open the ext file system");
    let zeros = tempfile::tempfile().unwrap();
    zeros.set_len(1 << 20).unwrap();
    let error = ExtFs::open(Box::new(RawFile::new(zeros).unwrap()), Access::Read).unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not open the ext file system: Bad magic number in super-block (libext2fs 2133571347)"
    );
}

#[test]
fn errors_name_what_was_wrong() {
    if !tools() {
        return;
    }
    let image = Image::new(16 << 20);
    let mut fs = image.edit();
    write(&mut fs, Node::ROOT, "file", b"x");
    let file = fs.lookup(b"file").unwrap().unwrap();
    let error = |result: Result<Node, ExtError>| result.unwrap_err().to_string();
    let dir = New::Directory;
    let a = attrs(0o755);
    assert_eq!(error(fs.create(Node::ROOT, b"file", dir, &a)), "`file` exists");
    assert_eq!(error(fs.create(Node::ROOT, b"..", dir, &a)), "`..` is no file name");
    assert_eq!(error(fs.create(Node::ROOT, b"a/b", dir, &a)), "`a/b` is no file name");
    let inode = file.number();
    assert_eq!(error(fs.create(file, b"in", dir, &a)), format!("inode {inode} is no directory"));
    let empty = New::Symlink(b"");
    assert_eq!(error(fs.create(Node::ROOT, b"l", empty, &a)), "a symbolic link cannot lead to ``");
    assert_eq!(fs.lookup(b"file/x").unwrap_err().to_string(), "`file/x` is no directory");
    assert_eq!(fs.unlink(Node::ROOT, b"no").unwrap_err().to_string(), "`no` does not exist");
    fs.create(Node::ROOT, b"loop", New::Symlink(b"loop"), &a).unwrap();
    assert_eq!(
        fs.resolve(b"/loop").unwrap_err().to_string(),
        "`/loop` leads through too many symbolic links"
    );
    let contents = Contents { size: 64 << 20, data: &mut std::io::repeat(1) };
    let full = fs.create_file(Node::ROOT, b"big", &a, contents).unwrap_err();
    assert!(matches!(full, ExtError::NoBlocks), "{full:?}");
    let contents = Contents { size: 10, data: &mut &b"short"[..] };
    let short = fs.create_file(Node::ROOT, b"short", &a, contents).unwrap_err();
    assert_eq!(short.to_string(), "could not read the contents of a new file");
}
