// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies, archives and differences, compared with what GNU tar says and with hostile targets.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use kiln_disk::tar::{EntryKind, Reader};
use kiln_guest::transfer::{
    CopyOut, DiffOptions, Difference, How, TransferError, copy_out, diff, tar_out,
};
use kiln_guest::tree::{Change, New, Time, Tree};
use kiln_testkit::{Files, need_program, run};

use crate::support::{Image, attrs, path};

fn files() -> Files {
    let long = format!("top/{}/{}", "d".repeat(90), "f".repeat(90));
    Files::new()
        .file("top/file", "contents\n")
        .mode(0o4755)
        .owner(1000, 70_000)
        .xattr("user.note", "kept")
        .file("top/empty", "")
        .file("top/big", vec![7; 100_000])
        .file(&long, "long")
        .link("top/link", "file")
        .link("top/out", "/etc/passwd")
        .link("top/up", "../../x")
        .link(&format!("top/{}", "l".repeat(120)), &"t".repeat(150))
        .dir("top/sub")
        .mode(0o1777)
}

#[test]
fn archives_are_read_by_gnu_tar_and_by_us() {
    if !need_program("tar") {
        return;
    }
    let Some(image) = Image::new(&files(), "8M", &[]) else { return };
    let mut tree = image.tree();
    tree.hard_link(&path("/top/file"), &path("/top/sub/name")).unwrap();
    tree.make(&path("/top/null"), &New::Char(1, 3), &attrs(0o666)).unwrap();
    tree.make(&path("/top/pipe"), &New::Fifo, &attrs(0o600)).unwrap();
    tree.make(&path("/top/socket"), &New::Socket, &attrs(0o600)).unwrap();
    let mtime = Some(Time { seconds: -2, nanos: 500_000_000 });
    tree.change(&path("/top/empty"), &Change { mtime, ..Change::default() }, false).unwrap();
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in [
        (1_u16, 6_u16, u32::MAX),
        (2, 4, 1000),
        (4, 4, u32::MAX),
        (0x10, 7, u32::MAX),
        (0x20, 0, u32::MAX),
    ] {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&rights.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    let xattrs = vec![("system.posix_acl_access".to_owned(), acl)];
    tree.set_xattrs(&path("/top/big"), &xattrs).unwrap();
    let mut archive = Vec::new();
    let done = tar_out(&mut tree, &path("/top"), &mut archive).unwrap();
    assert_eq!((done.entries, done.sockets), (14, 1));
    let mut again = Vec::new();
    tar_out(&mut tree, &path("/top/../top"), &mut again).unwrap();
    assert!(archive == again, "the same tree is the same archive");
    // GNU tar.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.tar").display().to_string();
    fs::write(&file, &archive).unwrap();
    let args = ["tar", "--numeric-owner", "--utc", "--full-time", "-tvf", &file];
    let listed = run(&args).success();
    assert_eq!(listed.stderr, "");
    let line = |name: &str| {
        let found = listed.stdout.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name} in {}", listed.stdout)).to_owned()
    };
    assert!(line("./file").starts_with("-rwsr-xr-x 1000/70000 "), "{}", line("./file"));
    assert!(line("./sub/name").contains("link to ./file"));
    assert!(line("./null").starts_with("crw-rw-rw- 0/0 "));
    let out = folder.path().display().to_string();
    drop(run(&["tar", "-C", &out, "--no-same-owner", "--exclude=./null", "-xf", &file]).success());
    let empty = fs::metadata(folder.path().join("empty")).unwrap();
    assert_eq!((empty.mtime(), empty.mtime_nsec()), (-2, 500_000_000));
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    assert_eq!(fs::read(folder.path().join(long)).unwrap(), b"long");
    assert_eq!(fs::read(folder.path().join("big")).unwrap(), vec![7; 100_000]);
    // Ours.
    let mut reader = Reader::new(archive.as_slice());
    let mut seen = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        let at = path("/top").join(&entry.path);
        let stat = tree.lstat(&at).unwrap().unwrap();
        if !matches!(entry.kind, EntryKind::HardLink(_)) {
            assert_eq!(entry.xattrs, tree.xattrs(&at).unwrap(), "{at}");
        }
        assert_eq!(
            (entry.mode, entry.uid, entry.gid),
            (stat.attrs.mode, stat.attrs.uid, stat.attrs.gid)
        );
        assert_eq!(entry.mtime, (stat.attrs.mtime.seconds, stat.attrs.mtime.nanos), "{at}");
        seen += 1;
    }
    assert_eq!(seen, done.entries);
}

#[test]
fn holes_are_kept_as_gnu_tar_keeps_them() {
    if !need_program("tar") {
        return;
    }
    let Some(image) = Image::new(&files(), "8M", &[]) else { return };
    let mut tree = image.tree();
    // In memory, in two passes, all a hole, and a long name; the last is no file with holes.
    let long = format!("holes-{}", "n".repeat(150));
    let mut all = Vec::new();
    for (name, size, data) in [
        ("small", 1 << 20, &[400_000][..]),
        ("large", 12 << 20, &[0, 5_000_000, (12 << 20) - 1]),
        ("nothing", 3 << 20, &[]),
        (&long, 300_001, &[300_000]),
        ("full", 200_000, &[0, 50_000, 100_000, 150_000]),
    ] {
        let mut bytes = vec![0; size];
        data.iter().for_each(|at| bytes[*at] = b'x');
        let at = path("/top").join(name);
        tree.write(&at, &mut bytes.as_slice(), &attrs(0o640)).unwrap();
        all.push((name.to_owned(), bytes));
    }
    let mut archive = Vec::new();
    let done = tar_out(&mut tree, &path("/top"), &mut archive).unwrap();
    assert!(done.bytes > 16 << 20 && archive.len() < 1 << 20, "{} bytes", archive.len());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a.tar"), &archive).unwrap();
    fs::create_dir(at("out")).unwrap();
    let args = ["tar", "-C", &at("out"), "--no-same-owner", "-xf", &at("a.tar")];
    assert_eq!(run(&args).success().stderr, "");
    // And an archive of GNU tar's own.
    let args = ["tar", "-C", &at("out"), "--sparse", "--format=pax", "-cf", &at("b.tar"), "."];
    drop(run(&args).success());
    for (name, bytes) in &all {
        let file = at("out") + "/" + name;
        assert!(fs::read(&file).unwrap() == *bytes, "{name}");
        let taken = fs::metadata(&file).unwrap().blocks() * 512;
        assert!(name == "full" || taken < 200_000, "{name} takes {taken}");
    }
    for archive in [archive, fs::read(at("b.tar")).unwrap()] {
        let mut reader = Reader::new(archive.as_slice());
        let mut seen = 0;
        while let Some(entry) = reader.next_entry().unwrap() {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            let Some((_, bytes)) = all.iter().find(|(known, _)| *known == name) else { continue };
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
            assert!(read == *bytes && entry.size == u64::try_from(bytes.len()).unwrap(), "{name}");
            seen += 1;
        }
        assert_eq!(seen, all.len());
    }
}

#[test]
fn copies_stay_in_the_folder_of_the_host() {
    let Some(image) = Image::new(&files(), "8M", &[]) else { return };
    let mut tree = image.tree();
    tree.make(&path("/top/null"), &New::Char(1, 3), &attrs(0o666)).unwrap();
    let host = tempfile::tempdir().unwrap();
    let canary = host.path().join("canary");
    fs::write(&canary, "alive").unwrap();
    let inside = host.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let to = host.path().join("to");
    fs::create_dir_all(to.join("top")).unwrap();
    symlink(&canary, to.join("top/file")).unwrap();
    fs::hard_link(&canary, to.join("top/empty")).unwrap();
    let done = copy_out(&mut tree, &path("/top"), &to, CopyOut::default()).unwrap();
    let left: Vec<String> = done.left_out.iter().map(|left| left.path.to_string()).collect();
    assert_eq!(left, ["/top/null", "/top/out", "/top/up"]);
    assert_eq!(fs::read_to_string(&canary).unwrap(), "alive");
    assert_eq!(fs::read_to_string(to.join("top/file")).unwrap(), "contents\n");
    let meta = fs::symlink_metadata(to.join("top/file")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.is_file()), (0o755, true));
    assert_eq!(fs::read_link(to.join("top/link")).unwrap().to_str(), Some("file"));
    assert_eq!(fs::metadata(to.join("top/sub")).unwrap().mode() & 0o7777, 0o777);
    // A link of the host in the place of a directory is not gone through.
    let other = host.path().join("other");
    fs::create_dir(&other).unwrap();
    symlink(&inside, other.join("top")).unwrap();
    let refused = copy_out(&mut tree, &path("/top"), &other, CopyOut::default());
    assert!(matches!(refused, Err(TransferError::Host { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(&inside).unwrap().count(), 0);
    let done = copy_out(&mut tree, &path("/top"), &inside, CopyOut { all_links: true }).unwrap();
    assert_eq!(done.left_out.len(), 1);
    assert_eq!(fs::read_link(inside.join("top/out")).unwrap().to_str(), Some("/etc/passwd"));
    let one = copy_out(&mut tree, &path("/top/link"), &inside, CopyOut::default()).unwrap();
    assert_eq!((one.entries, one.bytes), (1, 9));
    assert_eq!(fs::read_to_string(inside.join("link")).unwrap(), "contents\n");
}

#[test]
fn holes_stay_holes_on_the_host() {
    let Some(image) = Image::new(&Files::new(), "8M", &[]) else { return };
    let mut tree = image.tree();
    let mut bytes = vec![0; 3 << 20];
    bytes[1 << 20] = 1;
    tree.write(&path("/sparse"), &mut bytes.as_slice(), &attrs(0o644)).unwrap();
    let host = tempfile::tempdir().unwrap();
    copy_out(&mut tree, &path("/sparse"), host.path(), CopyOut::default()).unwrap();
    let file = host.path().join("sparse");
    assert!(fs::read(&file).unwrap() == bytes);
    assert!(fs::metadata(&file).unwrap().blocks() * 512 < 1 << 20);
}

#[test]
fn differences_of_two_trees_are_named() {
    let Some(old) = Image::new(&files(), "8M", &[]) else { return };
    let Some(new) = Image::new(&files(), "8M", &[]) else { return };
    let (mut old, mut new) = (old.tree(), new.tree());
    let compare = |old: &mut dyn Tree, new: &mut dyn Tree| {
        diff(old, new, &path("/"), DiffOptions::default()).unwrap()
    };
    assert_eq!(compare(&mut old, &mut new), []);
    new.write(&path("/top/file"), &mut &b"CONTENTS\n"[..], &attrs(0)).unwrap();
    let change = Change { mode: Some(0o600), gid: Some(5), ..Change::default() };
    new.change(&path("/top/empty"), &change, false).unwrap();
    new.unlink(&path("/top/link")).unwrap();
    new.make(&path("/top/link"), &New::Directory, &attrs(0o755)).unwrap();
    new.write(&path("/top/link/in"), &mut &b"x"[..], &attrs(0o644)).unwrap();
    new.unlink(&path("/top/out")).unwrap();
    new.unlink(&path("/top/up")).unwrap();
    new.make(&path("/top/up"), &New::Symlink(b"elsewhere".to_vec()), &attrs(0o777)).unwrap();
    // As text both are the same.
    for (tree, target) in [(&mut old, b"t\xe8"), (&mut new, b"t\xe9")] {
        tree.make(&path("/top/bytes"), &New::Symlink(target.to_vec()), &attrs(0o777)).unwrap();
    }
    let found = compare(&mut old, &mut new);
    let short = |one: &Difference| match &one.how {
        How::Added { .. } => format!("added {}", one.path),
        How::Removed { .. } => format!("removed {}", one.path),
        How::Changed { aspects, .. } => format!("changed {} {aspects:?}", one.path),
    };
    let short: Vec<String> = found.iter().map(short).collect();
    assert_eq!(
        short,
        [
            "changed /top/bytes [Target]",
            "changed /top/empty [Mode, Owner]",
            "changed /top/file [Contents]",
            "changed /top/link [Kind, Mode]",
            "added /top/link/in",
            "removed /top/out",
            "changed /top/up [Target]",
        ]
    );
    let How::Changed { new, .. } = &found[2].how else { panic!("{found:?}") };
    assert_eq!(new.sha256.as_ref().map(String::len), Some(64));
}
