// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660 of genisoimage and xorriso, read; isoinfo is the authority.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kiln_disk::device::RawFile;
use kiln_disk::fs::ext::Kind;
use kiln_disk::fs::iso9660::{BootPlatform, Iso, IsoFs, IsoFsError, IsoNames, Node, Stat};
use kiln_testkit::{need_program, run};

fn open(path: &Path) -> IsoFs {
    IsoFs::open(Box::new(RawFile::new(File::open(path).unwrap()).unwrap())).unwrap()
}

/// Makes a tree with all that is hard below `folder`, and returns where.
fn source(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    let deep = root.join("1/2/3/4/5/6/7/8/9/10");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("deep.txt"), "deep").unwrap();
    std::fs::write(root.join("Mixed Case and spaces.TXT"), "mixed").unwrap();
    std::fs::write(root.join("n".repeat(250)), "long").unwrap();
    std::fs::write(root.join("\u{fc}ml\u{e4}ut \u{65e5}"), "umlaut").unwrap();
    std::fs::write(root.join("empty"), "").unwrap();
    std::fs::write(root.join("big"), vec![b'b'; 300_001]).unwrap();
    std::fs::write(root.join("tool"), "#!/bin/sh\n").unwrap();
    let mode = std::fs::Permissions::from_mode(0o4755);
    std::fs::set_permissions(root.join("tool"), mode).unwrap();
    symlink("../..//etc/./passwd", root.join("relative")).unwrap();
    symlink("/usr/lib", root.join("absolute")).unwrap();
    // Longer than one entry of Rock Ridge, and in parts longer than one component.
    symlink(format!("{}/x/{}", "l".repeat(240), "m".repeat(250)), root.join("long-link")).unwrap();
    let _ = run(&["mkfifo", root.join("fifo").to_str().unwrap()]).success();
    for n in 0..120 {
        let name = format!("many/file number {n} with a name that needs some room");
        std::fs::create_dir_all(root.join("many")).unwrap();
        std::fs::write(root.join(name), n.to_string()).unwrap();
    }
    root
}

fn tree(fs: &mut IsoFs) -> BTreeMap<String, (Stat, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![(String::new(), Node::ROOT)];
    while let Some((above, dir)) = todo.pop() {
        for listed in fs.list(dir).unwrap() {
            let path = format!("{above}/{}", String::from_utf8(listed.name).unwrap());
            let stat = fs.stat(listed.node);
            let contents = match stat.kind {
                Kind::File => fs.read_file(listed.node, 1 << 30).unwrap(),
                Kind::Symlink => fs.read_link(listed.node).unwrap(),
                _ => Vec::new(),
            };
            if stat.kind == Kind::Directory {
                todo.push((path.clone(), listed.node));
            }
            all.insert(path, (stat, contents));
        }
    }
    all
}

/// What is below a folder of the host.
fn host(root: &Path) -> BTreeMap<String, (Kind, u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let name = format!("/{}", path.strip_prefix(root).unwrap().to_str().unwrap());
            let mode = meta.permissions().mode() & 0o7777;
            let value = if meta.is_dir() {
                todo.push(path);
                (Kind::Directory, mode, Vec::new())
            } else if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned();
                (Kind::Symlink, mode, target.into_bytes())
            } else if meta.is_file() {
                (Kind::File, mode, std::fs::read(&path).unwrap())
            } else {
                (Kind::Fifo, mode, Vec::new())
            };
            all.insert(name, value);
        }
    }
    all
}

#[test]
fn rock_ridge_gives_back_the_tree() {
    if !need_program("genisoimage") || !need_program("xorriso") || !need_program("isoinfo") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = source(folder.path());
    let expected = host(&root);
    let out = folder.path().join("x.iso");
    let (from, to) = (root.to_str().unwrap(), out.to_str().unwrap());
    let makers: [&[&str]; 4] = [
        // Without -D directories below the eighth are moved to rr_moved.
        &["genisoimage", "-quiet", "-R", "-V", "Label", "-o", to, from],
        &["genisoimage", "-quiet", "-R", "-J", "-joliet-long", "-D", "-V", "Label", "-o", to, from],
        &["xorriso", "-as", "mkisofs", "-R", "-J", "-V", "Label", "-o", to, from],
        &[
            "xorriso",
            "-compliance",
            "deep_paths_off",
            "-outdev",
            to,
            "-volid",
            "Label",
            "-map",
            from,
            "/",
        ],
    ];
    for maker in makers {
        let _ = std::fs::remove_file(&out);
        let _ = run(maker).success();
        let mut fs = open(&out);
        assert_eq!((fs.names(), fs.label().as_str()), (IsoNames::RockRidge, "Label"));
        let mut found = tree(&mut fs);
        // What genisoimage moved directories to is there, and empty; xorriso takes the root.
        let moves = !maker.contains(&"-D") && !maker.contains(&"mkisofs");
        let moved = found.remove("/rr_moved").is_some();
        assert_eq!(moved, moves && maker[0] == "genisoimage", "{maker:?}");
        let bytes = std::fs::read(&out).unwrap();
        assert_eq!(bytes.windows(4).any(|w| w == b"CL\x0c\x01"), moves, "{maker:?}");
        let keys: Vec<_> = found.keys().collect();
        assert_eq!(keys, expected.keys().collect::<Vec<_>>(), "{maker:?}");
        for (path, (kind, mode, contents)) in &expected {
            let (stat, got) = &found[path];
            // genisoimage 1.1.11 writes a wrong length for an `SL` entry over 255 bytes.
            let other = path == "/relative" || (path == "/long-link" && maker[0] != "xorriso");
            let known = kind == &stat.kind && (contents == got || other);
            assert!(known, "{maker:?} {path}: {stat:?} {:?}", String::from_utf8_lossy(got));
            // genisoimage writes all as root's with -r only; links have no mode of their own.
            assert_eq!(stat.attrs.mode, *mode, "{maker:?} {path}");
        }
        let relative = String::from_utf8(found["/relative"].1.clone()).unwrap();
        assert_eq!(relative.replace("//", "/"), "../../etc/./passwd");
        // The authority on sizes.
        let listed = run(&["isoinfo", "-R", "-l", "-i", to]).success().stdout;
        assert!(listed.contains("300001"), "{listed}");
        let meta = root.join("big").metadata().unwrap();
        let changed = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let time = i64::try_from(changed.as_secs()).unwrap();
        assert_eq!(found["/big"].0.attrs.mtime.seconds, time, "{maker:?}");
    }
}

#[test]
fn joliet_and_plain_names_are_read() {
    if !need_program("genisoimage") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("Some Folder")).unwrap();
    std::fs::write(root.join("Some Folder/\u{fc}ber.txt"), "joliet").unwrap();
    std::fs::write(root.join("READ.ME"), "plain").unwrap();
    std::fs::write(root.join("noext"), "plain").unwrap();
    let out = folder.path().join("x.iso");
    let (from, to) = (root.to_str().unwrap(), out.to_str().unwrap());
    let args = ["-quiet", "-J", "-input-charset", "utf-8", "-o", to, from];
    let _ = run(&[&["genisoimage"][..], &args].concat()).success();
    let mut fs = open(&out);
    assert_eq!(fs.names(), IsoNames::Joliet);
    let found: Vec<_> = tree(&mut fs).into_iter().map(|(path, (_, bytes))| (path, bytes)).collect();
    assert_eq!(found[2], ("/Some Folder/\u{fc}ber.txt".to_owned(), b"joliet".to_vec()));
    assert_eq!(found.len(), 4);
    let node = fs.lookup("some folder/\u{fc}BER.TXT".as_bytes()).unwrap().unwrap();
    assert_eq!(fs.read_file(node, 10).unwrap(), b"joliet");
    let _ = run(&["genisoimage", "-quiet", "-o", to, from]).success();
    let mut fs = open(&out);
    assert_eq!(fs.names(), IsoNames::Plain);
    assert!(fs.lookup(b"READ.ME").unwrap().is_some() && fs.lookup(b"noext").unwrap().is_some());
    let names: Vec<String> = tree(&mut fs).into_keys().collect();
    assert!(names.contains(&"/read.me".to_owned()), "{names:?}");
}

#[test]
fn boot_images_are_listed() {
    if !need_program("xorriso") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("bios.img"), vec![b'B'; 2048]).unwrap();
    std::fs::write(root.join("efi.img"), vec![b'E'; 8192]).unwrap();
    let out = folder.path().join("x.iso");
    let (from, to) = (root.to_str().unwrap(), out.to_str().unwrap());
    let bios = ["-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4"];
    let efi = ["-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-o", to, from];
    let make = ["xorriso", "-as", "mkisofs", "-R", "-c", "boot.cat"];
    let _ = run(&[&make[..], &bios, &efi].concat()).success();
    let images = open(&out).boot_images().unwrap();
    let kinds: Vec<_> = images.iter().map(|i| (i.platform, i.bootable, i.media)).collect();
    assert_eq!(kinds, [(BootPlatform::Bios, true, 0), (BootPlatform::Efi, true, 0)]);
    let bytes = std::fs::read(&out).unwrap();
    let first = |n: usize| bytes[usize::try_from(images[n].at).unwrap()];
    assert_eq!((first(0), first(1)), (b'B', b'E'));
    assert_eq!((images[0].size, images[1].size), (2048, 8192));
    std::fs::write(&out, Iso::new("x", 0).file("a", "b").build().unwrap()).unwrap();
    assert_eq!(open(&out).boot_images().unwrap(), []);
}

#[test]
fn packed_files_are_refused_and_others_read() {
    if !need_program("xorriso") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("zeros"), vec![0; 200_000]).unwrap();
    let out = folder.path().join("x.iso");
    let (from, to) = (root.to_str().unwrap(), out.to_str().unwrap());
    let filter = ["-set_filter_r", "--zisofs", "/", "--"];
    let _ = run(&[&["xorriso", "-outdev", to, "-map", from, "/"][..], &filter].concat()).success();
    let mut fs = open(&out);
    let node = fs.lookup(b"zeros").unwrap().unwrap();
    let error = fs.read_file(node, 1 << 20).unwrap_err();
    assert!(matches!(error, IsoFsError::Unsupported { .. }), "{error}");
}

#[test]
fn files_in_several_parts_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.iso");
    let first = vec![b'1'; 4096];
    let iso = Iso::new("x", 0).file("a", first.clone()).file("b", "second").file("c", "third");
    let mut bytes = iso.build().unwrap();
    // The flags of the record whose plain identifier is `A.;1`; the next record goes on with it.
    let at = bytes.windows(5).position(|w| w == b"\x04A.;1").unwrap();
    bytes[at + 25 - 32] |= 0x80;
    std::fs::write(&path, bytes).unwrap();
    let mut fs = open(&path);
    let names: Vec<_> = fs.list(Node::ROOT).unwrap().into_iter().map(|l| l.name).collect();
    assert_eq!(names, [b"a".to_vec(), b"c".to_vec()]);
    let node = fs.lookup(b"a").unwrap().unwrap();
    assert_eq!(fs.read_file(node, 1 << 20).unwrap(), [first, b"second".to_vec()].concat());
    let mut part = [0; 8];
    assert_eq!(fs.read_at(node, 4092, &mut part).unwrap(), 8);
    assert_eq!(&part, b"1111seco");
}
