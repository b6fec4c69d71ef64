// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees in ext file systems that mke2fs made, looked at by debugfs and e2fsck afterwards.

use crate::support::{Image, NOW, attrs, path};
use kiln_disk::device::RawFile;
use kiln_guest::backend::direct::{DirectTree, Part};
use kiln_guest::tree::{Change, GuestPath, Kind, New, Tree, TreeError};
use kiln_testkit::{Files, run};

fn small(files: &Files) -> Option<Image> {
    Image::new(files, "8M", &[])
}

fn read(tree: &mut dyn Tree, at: &str) -> Vec<u8> {
    tree.read(&path(at), 1 << 20).unwrap()
}

#[test]
fn links_lead_to_places_of_the_guest() {
    let files = Files::new()
        .file("etc/passwd", "guest\n")
        .file("usr/bin/sh", "shell\n")
        .link("bin", "usr/bin")
        .link("abs", "/etc/passwd")
        .link("up", "../../../../../../etc/passwd")
        .link("etc/back", "../usr/./bin//sh")
        .link("chain", "etc/back")
        .link("loop", "loop")
        .link("ping", "pong")
        .link("pong", "ping")
        .link("dangling", "/nowhere/at/all")
        .link("etc/deep", "/bin/..");
    let Some(image) = small(&files) else { return };
    let mut tree = image.tree();
    for (at, contents) in [
        ("/abs", "guest\n"),
        ("/up", "guest\n"),
        ("/../../etc/passwd", "guest\n"),
        ("/bin/sh", "shell\n"),
        ("/chain", "shell\n"),
        ("/bin/../../etc/passwd", "guest\n"),
        ("/etc/deep/bin/sh", "shell\n"),
    ] {
        assert_eq!(read(&mut tree, at), contents.as_bytes(), "{at}");
    }
    for at in ["/loop", "/ping", "/loop/x"] {
        assert!(matches!(tree.stat(&path(at)), Err(TreeError::Loop { .. })), "{at}");
    }
    assert_eq!(tree.stat(&path("/dangling")).unwrap(), None);
    assert_eq!(tree.lstat(&path("/dangling")).unwrap().unwrap().kind, Kind::Symlink);
    assert_eq!(tree.stat(&path("/nowhere/x")).unwrap(), None);
    assert!(matches!(tree.stat(&path("/etc/passwd/x")), Err(TreeError::NotADirectory { .. })));
    assert!(matches!(tree.stat(&path("/etc/passwd/..")), Err(TreeError::NotADirectory { .. })));
    assert_eq!(tree.read_link(&path("/abs")).unwrap(), b"/etc/passwd");
    assert!(matches!(tree.read_link(&path("/etc")), Err(TreeError::NotALink { .. })));
    let names: Vec<_> = tree.list(&path("/etc")).unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, [&b"back"[..], b"deep", b"passwd"]);
}

#[test]
fn a_written_file_keeps_what_is_not_written() {
    let files = Files::new()
        .file("etc/shadow", "old\n")
        .mode(0o640)
        .owner(7, 42)
        .xattr("user.note", "kept")
        .link("shadow", "/etc/shadow")
        .link("new-behind-link", "etc/made");
    let Some(image) = small(&files) else { return };
    let mut tree = image.tree();
    tree.write(&path("/shadow"), &mut &b"new contents\n"[..], &attrs(0o777)).unwrap();
    tree.write(&path("/new-behind-link"), &mut &b"made\n"[..], &attrs(0o600)).unwrap();
    let stat = tree.stat(&path("/etc/shadow")).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid), (0o640, 7, 42));
    assert_eq!(stat.attrs.mtime, NOW);
    assert_eq!(tree.lstat(&path("/new-behind-link")).unwrap().unwrap().kind, Kind::Symlink);
    let missing = tree.write(&path("/no/such/folder"), &mut &b""[..], &attrs(0o644));
    assert!(matches!(missing, Err(TreeError::NotFound { .. })), "{missing:?}");
    for directory in ["/etc", "/"] {
        let no_file = tree.write(&path(directory), &mut &b""[..], &attrs(0o644));
        assert!(matches!(no_file, Err(TreeError::NotAFile { .. })), "{no_file:?}");
    }
    tree.finish().unwrap();
    image.check();
    assert_eq!(image.debugfs("cat /etc/shadow"), "new contents\n");
    assert_eq!(image.debugfs("cat /etc/made"), "made\n");
    assert!(image.debugfs("ea_get /etc/shadow user.note").contains("kept"));
}

#[test]
fn names_are_made_moved_and_removed() {
    let files = Files::new().file("a/file", "1").file("b/file", "2").dir("b/full/x").dir("b/empty");
    let Some(image) = small(&files) else { return };
    let mut tree = image.tree();
    let made = [
        ("/dir", New::Directory),
        ("/link", New::Symlink(b"/a/file".to_vec())),
        ("/null", New::Char(1, 3)),
        ("/disk", New::Block(8, 300)),
        ("/pipe", New::Fifo),
    ];
    for (at, new) in &made {
        tree.make(&path(at), new, &attrs(0o751)).unwrap();
        let again = tree.make(&path(at), new, &attrs(0o751));
        assert!(matches!(again, Err(TreeError::Exists { .. })), "{at}: {again:?}");
    }
    assert_eq!(tree.lstat(&path("/disk")).unwrap().unwrap().device, (8, 300));
    tree.hard_link(&path("/a/file"), &path("/dir/other")).unwrap();
    let [one, two] = ["/a/file", "/dir/other"].map(|at| tree.stat(&path(at)).unwrap().unwrap());
    assert_eq!((one.identity, one.links), (two.identity, 2));
    tree.rename(&path("/a/file"), &path("/b/file")).unwrap();
    assert_eq!(read(&mut tree, "/b/file"), b"1");
    assert_eq!(tree.stat(&path("/a/file")).unwrap(), None);
    let onto = tree.rename(&path("/b/file"), &path("/b/full"));
    assert!(matches!(onto, Err(TreeError::NotAFile { .. })), "{onto:?}");
    let full = tree.rmdir(&path("/b/full"));
    assert!(matches!(full, Err(TreeError::NotEmpty { .. })), "{full:?}");
    tree.rmdir(&path("/b/empty")).unwrap();
    let directory = tree.unlink(&path("/b/full"));
    assert!(matches!(directory, Err(TreeError::NotAFile { .. })), "{directory:?}");
    tree.unlink(&path("/link")).unwrap();
    assert_eq!(read(&mut tree, "/dir/other"), b"1");
    assert!(matches!(tree.unlink(&path("/link")), Err(TreeError::NotFound { .. })));
    for at in ["/", "/a/.."] {
        assert!(matches!(tree.unlink(&path(at)), Err(TreeError::ReadOnly { .. })), "{at}");
        let made = tree.make(&path(at), &New::Directory, &attrs(0o755));
        assert!(matches!(made, Err(TreeError::Exists { .. })), "{at}");
    }
    tree.finish().unwrap();
    image.check();
    assert!(image.debugfs("stat /null").contains("Type: character special"));
    assert!(image.debugfs("stat /pipe").contains("Type: FIFO"));
}

#[test]
fn owners_and_modes_change_behind_links_or_of_links() {
    let files = Files::new().file("file", "x").link("link", "file");
    let Some(image) = small(&files) else { return };
    let mut tree = image.tree();
    let change = Change { mode: Some(0o4711), uid: Some(70_000), ..Change::default() };
    tree.change(&path("/link"), &change, true).unwrap();
    let gid = Change { gid: Some(9), mode: Some(0), ..Change::default() };
    tree.change(&path("/link"), &gid, false).unwrap();
    let stat = tree.stat(&path("/file")).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid), (0o4711, 70_000, 0));
    let link = tree.lstat(&path("/link")).unwrap().unwrap();
    assert_eq!((link.attrs.mode, link.attrs.uid, link.attrs.gid), (0o777, 0, 9));
    tree.finish().unwrap();
    image.check();
}

#[test]
fn a_file_system_opened_for_reading_is_not_changed() {
    let Some(image) = small(&Files::new().file("file", "x")) else { return };
    let before = std::fs::read(image.path()).unwrap();
    let mut tree = DirectTree::of_ext_read(image.device()).unwrap();
    assert_eq!(read(&mut tree, "/file"), b"x");
    let file = path("/file");
    let refused: [Result<(), TreeError>; 6] = [
        tree.write(&file, &mut &b"y"[..], &attrs(0o644)),
        tree.write(&path("/new"), &mut &b"y"[..], &attrs(0o644)),
        tree.make(&path("/new"), &New::Directory, &attrs(0o755)),
        tree.unlink(&file),
        tree.change(&file, &Change { uid: Some(1), ..Change::default() }, true),
        tree.rename(&file, &path("/other")),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(TreeError::ReadOnly { .. })), "{refused:?}");
    }
    tree.finish().unwrap();
    assert!(before == std::fs::read(image.path()).unwrap());
}

#[test]
fn file_systems_are_mounted_where_the_guest_has_them() {
    let root = Files::new().dir("boot").link("kernel", "boot/vmlinuz").file("boot/hidden", "x");
    let boot = Files::new().file("vmlinuz", "kernel").link("up", "../etc/name").dir("efi");
    let esp = Files::new().file("BOOTX64.EFI", "efi").link("out", "../../kernel");
    let root = root.file("etc/name", "guest");
    let images = (small(&root), small(&boot), small(&esp));
    let (Some(root), Some(boot), Some(esp)) = images else { return };
    let mut tree = root.tree();
    let part = |image: &Image, source| Part::ext(image.device(), source, NOW).unwrap();
    tree.mount(&path("/boot"), part(&boot, "sda2")).unwrap();
    tree.mount(&path("/boot/efi"), part(&esp, "sda1")).unwrap();
    assert_eq!(read(&mut tree, "/kernel"), b"kernel");
    assert_eq!(read(&mut tree, "/boot/up"), b"guest");
    assert_eq!(read(&mut tree, "/boot/efi/out"), b"kernel");
    assert_eq!(tree.stat(&path("/boot/hidden")).unwrap(), None);
    let across = tree.rename(&path("/boot/vmlinuz"), &path("/etc/vmlinuz"));
    assert!(matches!(across, Err(TreeError::CrossDevice { .. })), "{across:?}");
    let across = tree.hard_link(&path("/boot/vmlinuz"), &path("/etc/vmlinuz"));
    assert!(matches!(across, Err(TreeError::CrossDevice { .. })), "{across:?}");
    let busy = tree.rmdir(&path("/boot/efi"));
    assert!(matches!(busy, Err(TreeError::ReadOnly { .. })), "{busy:?}");
    tree.write(&path("/boot/efi/../new"), &mut &b"new"[..], &attrs(0o644)).unwrap();
    let on: Vec<GuestPath> = tree.usage().unwrap().into_iter().map(|u| u.mounted_on).collect();
    assert_eq!(on, [path("/"), path("/boot"), path("/boot/efi")]);
    tree.finish().unwrap();
    for image in [&root, &boot, &esp] {
        image.check();
    }
    assert_eq!(boot.debugfs("cat /new"), "new");
}

#[test]
fn directories_move_and_attributes_go() {
    let files = Files::new()
        .file("a/sub/file", "1")
        .xattr("user.old", "gone")
        .file("a/other", "2")
        .dir("b/empty");
    let Some(image) = small(&files) else { return };
    let mut tree = image.tree();
    tree.hard_link(&path("/a/other"), &path("/b/name")).unwrap();
    tree.write(&path("/b/name"), &mut &b"both"[..], &attrs(0o600)).unwrap();
    assert_eq!(read(&mut tree, "/a/other"), b"both");
    let into = tree.rename(&path("/a"), &path("/a/sub/deeper"));
    assert!(matches!(into, Err(TreeError::ReadOnly { .. })), "{into:?}");
    tree.rename(&path("/a"), &path("/b/empty")).unwrap();
    assert_eq!(read(&mut tree, "/b/empty/sub/../sub/file"), b"1");
    let new = vec![("user.new".to_owned(), b"kept".to_vec())];
    tree.set_xattrs(&path("/b/empty/sub/file"), &new).unwrap();
    assert_eq!(tree.xattrs(&path("/b/empty/sub/file")).unwrap(), new);
    tree.make(&path("/b/socket"), &New::Socket, &attrs(0o600)).unwrap();
    tree.finish().unwrap();
    image.check();
    assert!(image.debugfs("stat /b/socket").contains("Type: socket"));
}

#[test]
fn fat_holds_what_fat_can_hold() {
    if !["mkfs.vfat", "fsck.vfat", "mtype"].into_iter().all(kiln_testkit::need_program) {
        return;
    }
    let Some(root) = small(&Files::new().dir("efi")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let esp = folder.path().join("esp.raw");
    let name = esp.display().to_string();
    drop(run(&["mkfs.vfat", "-C", &name, "8192"]).success());
    let device = || {
        let file = std::fs::File::options().read(true).write(true).open(&esp).unwrap();
        Box::new(RawFile::new(file).unwrap())
    };
    let mut tree = root.tree();
    tree.mount(&path("/efi"), Part::fat(device(), "sda1", NOW).unwrap()).unwrap();
    tree.make(&path("/efi/EFI"), &New::Directory, &attrs(0o700)).unwrap();
    tree.write(&path("/efi/EFI/Loader.conf"), &mut &b"timeout 3\n"[..], &attrs(0o600)).unwrap();
    tree.write(&path("/efi/efi/LOADER.CONF"), &mut &b"timeout 5\n"[..], &attrs(0o600)).unwrap();
    assert_eq!(tree.list(&path("/efi/EFI")).unwrap().len(), 1);
    let file = path("/efi/EFI/Loader.conf");
    let refused = [
        tree.make(&path("/efi/link"), &New::Symlink(b"x".to_vec()), &attrs(0o777)),
        tree.make(&path("/efi/null"), &New::Char(1, 3), &attrs(0o777)),
        tree.hard_link(&file, &path("/efi/other")),
        tree.change(&file, &Change { uid: Some(1), ..Change::default() }, true),
        tree.change(&file, &Change { mode: Some(0o600), ..Change::default() }, true),
        tree.set_xattrs(&file, &vec![("user.x".to_owned(), Vec::new())]),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(TreeError::ReadOnly { .. })), "{refused:?}");
    }
    tree.change(&file, &Change { mode: Some(0o555), uid: Some(0), ..Change::default() }, true)
        .unwrap();
    assert_eq!(tree.stat(&file).unwrap().unwrap().attrs.mode, 0o555);
    tree.rename(&file, &path("/efi/moved")).unwrap();
    tree.rmdir(&path("/efi/EFI")).unwrap();
    tree.finish().unwrap();
    root.check();
    drop(run(&["fsck.vfat", "-n", &name]).success());
    assert_eq!(run(&["mtype", "-i", &name, "::moved"]).success().stdout, "timeout 5\n");
}

#[test]
fn a_file_far_larger_than_its_file_system_is_not_copied_for_hours() {
    let Some(image) = small(&Files::new().file("liar", "x").file("sparse", "y")) else { return };
    let fs = image.path().display().to_string();
    for (file, size) in [("liar", "4398046511104"), ("sparse", "100000000")] {
        let command = format!("sif /{file} size {size}");
        drop(run(&["debugfs", "-w", "-R", &command, &fs]).success());
    }
    let mut tree = image.tree();
    let lie = tree.copy_out(&path("/liar"), &mut std::io::sink());
    assert!(matches!(lie, Err(TreeError::TooLarge { .. })), "{lie:?}");
    assert_eq!(tree.copy_out(&path("/sparse"), &mut std::io::sink()).unwrap(), 100_000_000);
}
