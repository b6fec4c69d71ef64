// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Edits of an ext4 file system that is in use already, as e2fsck and debugfs see the result.

use kiln_disk::fs::ext::{Access, Attrs, ExtError, ExtFs, Kind, New, Node, Time};

use kiln_testkit::run;

use crate::image::{Image, NOW, text, tools};

const MADE: i64 = 1_600_000_000;

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, uid: 10, gid: 20, mtime: Time { seconds: MADE, nanos: 7 } }
}

fn file(fs: &mut ExtFs, dir: Node, name: &str, bytes: &[u8]) -> Node {
    fs.create_file_from(dir, name.as_bytes(), &attrs(0o640), &mut &*bytes).expect("a new file")
}

fn folder(fs: &mut ExtFs, dir: Node, name: &str) -> Node {
    fs.create(dir, name.as_bytes(), New::Directory, &attrs(0o755)).expect("a new directory")
}

fn names(fs: &mut ExtFs, dir: Node) -> Vec<String> {
    let listed = fs.list(dir).expect("its names");
    listed.into_iter().map(|entry| String::from_utf8(entry.name).expect("text")).collect()
}

/// Feature sets that edits are tried on.
const FEATURES: [&[&str]; 6] = [
    &["-t", "ext4"],
    &["-t", "ext4", "-b", "1024", "-O", "inline_data,ea_inode,large_dir"],
    &["-t", "ext4", "-b", "4096", "-I", "256", "-O", "inline_data"],
    &[
        "-t",
        "ext4",
        "-b",
        "2048",
        "-O",
        "meta_bg,^resize_inode,^metadata_csum,uninit_bg,sparse_super2",
    ],
    &["-t", "ext2", "-b", "1024", "-I", "128"],
    &["-t", "ext3", "-O", "^filetype"],
];

#[test]
fn contents_are_replaced_and_the_inode_stays() {
    if !tools() {
        return;
    }
    for options in FEATURES {
        let image = Image::new(options);
        let mut fs = image.edit();
        let free = fs.usage().free;
        let node = file(&mut fs, Node::ROOT, "f", &[7; 300_000]);
        fs.link(Node::ROOT, b"g", node).unwrap();
        let xattrs = vec![("user.one".to_owned(), b"1".to_vec())];
        fs.set_xattrs(node, &xattrs).unwrap();
        fs.close().unwrap();
        image.check();

        let mut fs = image.edit();
        let node = fs.lookup(b"g").unwrap().unwrap();
        let mut sparse = vec![0; 2_000_000];
        sparse[1_500_000] = 1;
        assert_eq!(fs.overwrite(node, &mut &*sparse).unwrap(), 2_000_000);
        let stat = fs.stat(node).unwrap();
        let now = Time { seconds: NOW, nanos: 0 };
        assert_eq!(stat.attrs, Attrs { mtime: now, ..attrs(0o640) });
        assert_eq!((stat.links, stat.size), (2, 2_000_000));
        assert!(free.0 - fs.usage().free.0 < 300_000, "{options:?}");
        fs.close().unwrap();
        image.check();

        let mut fs = image.edit();
        let node = fs.lookup(b"f").unwrap().unwrap();
        assert!(fs.read_file(node, 1 << 30).unwrap() == sparse);
        assert_eq!(fs.xattrs(node).unwrap(), xattrs);
        fs.truncate(node, 1_500_001).unwrap();
        fs.truncate(node, 1_600_000).unwrap();
        sparse.truncate(1_600_000);
        assert!(fs.read_file(node, 1 << 30).unwrap() == sparse);
        fs.overwrite(node, &mut &b"short"[..]).unwrap();
        fs.close().unwrap();
        image.check();
        assert_eq!(image.debugfs("cat /g"), "short");
    }
}

#[test]
fn names_move_as_rename_says() {
    if !tools() {
        return;
    }
    for options in FEATURES {
        let image = Image::new(options);
        let mut fs = image.edit();
        let a = folder(&mut fs, Node::ROOT, "a");
        let b = folder(&mut fs, Node::ROOT, "b");
        let inner = folder(&mut fs, a, "inner");
        let one = file(&mut fs, inner, "one", b"1");
        file(&mut fs, b, "two", b"2");
        fs.close().unwrap();

        let mut fs = image.edit();
        // A file over another, a directory into another, and back under another name.
        fs.rename((inner, b"one"), (b, b"two")).unwrap();
        fs.rename((a, b"inner"), (b, b"moved")).unwrap();
        assert_eq!(
            (names(&mut fs, a), names(&mut fs, b)),
            (vec![], vec!["moved".into(), "two".into()])
        );
        assert_eq!(fs.stat(a).unwrap().links, 2);
        assert_eq!(fs.stat(b).unwrap().links, 3);
        assert_eq!(fs.child(b, b"two").unwrap(), Some(one));
        let error = |result: Result<(), ExtError>| result.unwrap_err().to_string();
        assert_eq!(
            error(fs.rename((Node::ROOT, b"b"), (inner, b"x"))),
            "`b` cannot be moved into itself"
        );
        assert_eq!(error(fs.rename((b, b"two"), (b, b"moved"))), "`moved` is a directory");
        assert_eq!(error(fs.rename((b, b"moved"), (b, b"two"))), "`two` is no directory");
        assert_eq!(error(fs.rename((b, b"no"), (b, b"two"))), "`no` does not exist");
        assert_eq!(
            error(fs.rename((Node::ROOT, b"a"), (Node::ROOT, b"b"))),
            "the directory `b` is not empty"
        );
        // An empty directory goes when another takes its name.
        fs.rename((b, b"moved"), (Node::ROOT, b"a")).unwrap();
        // Two names of one file both stay.
        fs.link(b, b"three", one).unwrap();
        fs.rename((b, b"two"), (b, b"three")).unwrap();
        fs.close().unwrap();
        image.check();

        let mut fs = image.edit();
        assert_eq!(names(&mut fs, Node::ROOT), ["a", "b", "lost+found"]);
        assert_eq!(names(&mut fs, b), ["three", "two"]);
        fs.rmdir(Node::ROOT, b"a").unwrap();
        fs.unlink(b, b"two").unwrap();
        fs.unlink(b, b"three").unwrap();
        fs.rmdir(Node::ROOT, b"b").unwrap();
        fs.close().unwrap();
        image.check();
        assert_eq!(image.edit().stat(Node::ROOT).unwrap().links, 3);
    }
}

#[test]
fn attributes_are_exactly_what_they_were_made() {
    if !tools() {
        return;
    }
    for options in FEATURES {
        let image = Image::new(options);
        let mut fs = image.edit();
        let node = file(&mut fs, Node::ROOT, "f", b"some contents");
        let three: Vec<(String, Vec<u8>)> = ["user.a", "trusted.b", "security.selinux"]
            .map(|name| (name.to_owned(), vec![b'x'; 200]))
            .into();
        fs.replace_xattrs(node, &three).unwrap();
        fs.close().unwrap();
        image.check();
        let mut fs = image.edit();
        let two = vec![three[2].clone(), ("user.new".to_owned(), Vec::new())];
        fs.replace_xattrs(node, &two).unwrap();
        let large = vec![("user.large".to_owned(), vec![1; 100_000])];
        let error = fs.replace_xattrs(node, &large).unwrap_err();
        assert!(matches!(error, ExtError::XattrsTooLarge), "{error:?}");
        fs.close().unwrap();
        image.check();
        let mut fs = image.edit();
        let mut got = fs.xattrs(node).unwrap();
        got.sort();
        assert_eq!(got, two);
        fs.remove_xattrs(node, &["user.new", "user.not-there"]).unwrap();
        assert_eq!(fs.xattrs(node).unwrap(), [three[2].clone()]);
        fs.replace_xattrs(node, &[]).unwrap();
        fs.close().unwrap();
        image.check();
        assert_eq!(image.edit().xattrs(node).unwrap(), []);
        assert_eq!(image.debugfs("cat /f"), "some contents");
    }
}

#[test]
fn sockets_times_and_the_superblock_are_as_told() {
    if !tools() {
        return;
    }
    let uuid = "01020304-0506-0708-090a-0b0c0d0e0f10";
    let image = Image::new(&["-t", "ext4", "-L", "root disk", "-U", uuid]);
    let mut fs = image.edit();
    assert_eq!(fs.uuid(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert_eq!(fs.label(), b"root disk");
    let node = fs.create(Node::ROOT, b"s", New::Socket, &attrs(0o700)).unwrap();
    assert_eq!(fs.stat(node).unwrap().kind, Kind::Socket);
    let stat = fs.stat(Node::ROOT).unwrap();
    assert_eq!(stat.attrs.mtime, Time { seconds: NOW, nanos: 0 });
    fs.set_attrs(node, &Attrs { mode: 0o711, ..attrs(0) }).unwrap();
    fs.close().unwrap();
    image.check();
    let stat = image.debugfs("stat /s");
    for expected in
        ["Type: socket", "Mode:  0711", "ctime: 0x6553f100", "mtime: 0x5f5e1000:0000001c"]
    {
        assert!(stat.contains(expected), "{expected}: {stat}");
    }
}

#[test]
fn what_was_opened_for_nothing_stays_as_it_was() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4"]);
    let before = std::fs::read(image.path()).unwrap();
    let mut fs = image.edit();
    assert_eq!(names(&mut fs, Node::ROOT), ["lost+found"]);
    fs.close().unwrap();
    assert!(std::fs::read(image.path()).unwrap() == before);
    // A change of an inode alone is no change of a bitmap, and is written all the same.
    let mut fs = image.edit();
    fs.set_attrs(Node::ROOT, &attrs(0o700)).unwrap();
    fs.close().unwrap();
    image.check();
    assert_eq!(image.edit().stat(Node::ROOT).unwrap().attrs, attrs(0o700));
}

#[test]
fn a_file_system_opened_for_reading_is_not_written_to() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4"]);
    let before = std::fs::read(image.path()).unwrap();
    let mut fs = image.open(Access::Read);
    let contents = &mut &b"x"[..];
    let error = fs.create_file_from(Node::ROOT, b"f", &attrs(0o644), contents).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file system may not be written to: it was opened for reading"
    );
    assert!(fs.rmdir(Node::ROOT, b"lost+found").is_err());
    assert!(fs.overwrite(Node::ROOT, &mut &b"x"[..]).is_err());
    fs.close().unwrap();
    assert!(std::fs::read(image.path()).unwrap() == before);
}

#[test]
fn an_access_control_list_follows_the_permissions() {
    if !tools() {
        return;
    }
    // u::rw,u:1000:rw,g::r,[m::rw,]o::r
    let entry = |tag: u8, bits: u8, id: u32| [&[tag, 0, bits, 0][..], &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let acl = |owner: u8, group: u8, mask: u8, other: u8| {
        let entries = [
            entry(1, owner, none),
            entry(2, 6, 1000),
            entry(4, group, none),
            entry(16, mask, none),
            entry(32, other, none),
        ];
        [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
    };
    let image = Image::new(&["-t", "ext4"]);
    let mut fs = image.edit();
    let node = file(&mut fs, Node::ROOT, "f", b"x");
    let name = "system.posix_acl_access".to_owned();
    fs.replace_xattrs(node, &[(name.clone(), acl(6, 4, 6, 4))]).unwrap();
    fs.set_attrs(node, &attrs(0o750)).unwrap();
    assert_eq!(fs.xattrs(node).unwrap(), [(name, acl(7, 4, 5, 0))]);
    fs.close().unwrap();
    image.check();
}

#[test]
fn inodes_of_an_older_time_keep_what_they_hold() {
    if !tools() {
        return;
    }
    // Inodes of 256 bytes of which Linux used 128, with an attribute right behind.
    let image = Image::new(&["-t", "ext4", "-I", "256"]);
    let mut fs = image.edit();
    let node = file(&mut fs, Node::ROOT, "f", b"x");
    fs.close().unwrap();
    let inode = node.number();
    for command in [
        format!("set_inode_field <{inode}> extra_isize 4"),
        format!("ea_set <{inode}> user.x value"),
    ] {
        let path = image.path();
        let _ = run(&["debugfs", "-w", "-R", &command, text(&path)]).success();
    }
    image.check();
    let mut fs = image.edit();
    let expected = [("user.x".to_owned(), b"value".to_vec())];
    assert_eq!(fs.xattrs(node).unwrap(), expected);
    fs.overwrite(node, &mut &b"longer"[..]).unwrap();
    fs.set_attrs(node, &attrs(0o600)).unwrap();
    fs.close().unwrap();
    image.check();
    let fs = image.edit();
    assert_eq!(fs.xattrs(node).unwrap(), expected);
}
