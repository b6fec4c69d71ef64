// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree made with GNU tar to a disk that other programs read: sgdisk, e2fsck, debugfs,
//! fsck.vfat, mtools.
//!
//! The kernel and the signed loaders in the tree are not real: nothing here is booted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kiln_disk::assemble::{AssembleError, Assembled, ExtraFile, Layout, assemble};
use kiln_disk::device::{RawFile, Window};
use kiln_disk::fs::ext::{Access, ExtFs};
use kiln_host::RealHost;
use kiln_spec::image::{Firmware, Os};
use kiln_spec::{Arch, Bytes};
use kiln_testkit::{need, need_program, run};

const TIME: u64 = 1_700_000_000;
/// Where the third partition begins: 1 MiB, 1 MiB, 64 MiB.
const ROOT: u64 = 66 << 20;
const VALUE: &[u8] = b"line\nline\n12 path=../x\n\0\xff";

/// A small tree with a kernel, a program and signed loaders.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().expect("a folder") };
        tree.file("usr/bin/sh", &fs::read("/bin/sh").expect("this machine's shell"));
        symlink("usr/bin", tree.path("bin")).expect("a link");
        tree.file(
            "usr/lib/os-release",
            b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n",
        );
        tree.file("etc/machine-id", b"0123456789abcdef0123456789abcdef\n");
        tree.file("var/lib/dbus/machine-id", b"0123456789abcdef0123456789abcdef\n");
        symlink("../usr/lib/os-release", tree.path("etc/os-release")).expect("a link");
        tree.file("boot/vmlinuz-6.1.0-9-amd64", b"old kernel");
        tree.file("boot/vmlinuz-6.1.0-10-amd64", b"kernel");
        tree.file("boot/initrd.img-6.1.0-10-amd64", b"initrd");
        tree.file("usr/lib/shim/shimx64.efi.signed", b"shim");
        tree.file("usr/lib/shim/mmx64.efi.signed", b"manager");
        tree.file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"grub");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("tree").join(path)
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    /// Packs the tree as mmdebstrap does.
    fn tar(&self, options: &[&str]) -> PathBuf {
        let to = self.folder.path().join("t.tar");
        let tree = self.path("");
        let (to_text, tree) = (to.to_str().expect("text"), tree.to_str().expect("text"));
        let fixed = ["--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*"];
        let mut argv = vec!["tar", "-C", tree, "-cf", to_text];
        argv.extend(fixed);
        argv.extend(if options.is_empty() { &["--format=pax"] } else { options });
        argv.push(".");
        let _ = run(&argv).success();
        to
    }

    fn layout(&self, name: &str) -> Layout {
        let output = self.folder.path().join(name);
        let firmware = vec![Firmware::Uefi];
        Layout { firmware, ..Layout::new(output, Bytes::from_mib(200), [3; 16], TIME) }
    }
}

fn made(layout: &Layout, tar: &Path) -> Result<Assembled, AssembleError> {
    let mut stream = fs::File::open(tar).expect("the archive");
    assemble(layout, &mut stream, &RealHost, &mut |_| ())
}

fn open(layout: &Layout) -> ExtFs {
    let raw = RawFile::new(fs::File::open(&layout.output).expect("the disk")).expect("a device");
    let Bytes(size) = layout.size;
    // As far as whole MiB go before the copy of the table.
    let window = Window::new(raw, ROOT, size - ROOT - (1 << 20)).expect("a partition");
    ExtFs::open(Box::new(window), Access::Read).expect("a file system")
}

fn read(fs: &mut ExtFs, path: &str) -> String {
    let node = fs.lookup(path.as_bytes()).expect("directories").expect("a file");
    String::from_utf8(fs.read_file(node, 1 << 20).expect("contents")).expect("text")
}

fn tools() -> bool {
    let all = ["tar", "mke2fs", "e2fsck", "debugfs", "sgdisk", "fsck.vfat", "mtype"];
    all.into_iter().all(need_program)
}

#[track_caller]
fn check(layout: &Layout) {
    let path = layout.output.to_str().expect("text");
    let table = run(&["sgdisk", "-v", path]).success().stdout;
    assert!(table.contains("No problems found."), "{table}");
    let checked = run(&["e2fsck", "-fn", &format!("{path}?offset={ROOT}")]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
}

#[test]
fn a_tree_becomes_a_disk_that_other_programs_read() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    let deep = "a-folder-with-a-long-name/".repeat(20) + "deep";
    tree.file(&deep, b"deep");
    fs::hard_link(tree.path(&deep), tree.path("hard")).unwrap();
    tree.file("set-uid", b"x");
    fs::set_permissions(tree.path("set-uid"), fs::Permissions::from_mode(0o4755)).unwrap();
    for n in 0..3000 {
        tree.file(&format!("many/file-{n}"), n.to_string().as_bytes());
    }
    symlink("x".repeat(200), tree.path("long-link")).unwrap();
    let tar = tree.tar(&[]);
    let extra = |path: &str, bytes: &[u8]| ExtraFile {
        path: path.into(),
        mode: 0o640,
        bytes: bytes.to_vec(),
    };
    let files = vec![extra("/bin/new", b"new"), extra("/hard", b"own"), extra("/x/y/z", b"z")];
    let layout = Layout { files, ..tree.layout("d.raw") };
    let got = made(&layout, &tar).unwrap();
    check(&layout);
    let os = Os {
        id: "debian".into(),
        version: "12".into(),
        pretty_name: "Debian GNU/Linux 12 (bookworm)".into(),
    };
    assert_eq!((got.kernel.as_str(), got.os, got.arch), ("6.1.0-10-amd64", os, Arch::Amd64));
    assert_eq!((got.firmware, got.secure_boot), (vec![Firmware::Uefi], true));
    assert!(got.entries > 3000 && got.bytes_written < 60 << 20, "{}", got.bytes_written);

    compare_with_debugfs(&tree, &layout);

    let mut fs = open(&layout);
    let stat = |fs: &mut ExtFs, path: &str| {
        let node = fs.lookup(path.as_bytes()).unwrap().unwrap();
        fs.stat(node).unwrap()
    };
    assert_eq!(stat(&mut fs, "set-uid").attrs.mode, 0o4755);
    let own = fs::metadata(tree.path("many/file-7")).unwrap();
    let theirs = stat(&mut fs, "many/file-7").attrs;
    assert_eq!((theirs.uid, theirs.gid), (own.uid(), own.gid()));
    assert_eq!(
        (theirs.mtime.seconds, i64::from(theirs.mtime.nanos)),
        (own.mtime(), own.mtime_nsec())
    );
    // One of its two names was overridden.
    assert_eq!((stat(&mut fs, &deep).links, stat(&mut fs, "hard").attrs.mode), (1, 0o640));
    assert_eq!(read(&mut fs, "/x/y/z"), "z");
}

/// debugfs takes everything out again: a second reader, with diff for a judge.
#[track_caller]
fn compare_with_debugfs(tree: &Tree, layout: &Layout) {
    let out = tree.folder.path().join("out");
    fs::create_dir(&out).expect("it can be done");
    let image = format!("{}?offset={ROOT}", layout.output.display());
    let _ = run(&["debugfs", "-R", &format!("rdump / {}", out.display()), &image]).success();
    let (a, b) = (tree.path(""), out.to_str().expect("it can be done").to_owned());
    let diff =
        run(&["diff", "-r", "--no-dereference", a.to_str().expect("it can be done"), &b]).stdout;
    let mut differing: Vec<_> =
        diff.lines().map(|l| l.replace(a.to_str().expect("it can be done"), "A/")).collect();
    differing.iter_mut().for_each(|line| *line = line.replace(&b, "B"));
    let expected = [
        "Only in B/boot: efi",
        "Only in B/boot: grub",
        "Only in B/etc: default",
        "Only in B/etc: fstab",
        "diff -r --no-dereference A/etc/machine-id B/etc/machine-id",
        "1d0",
        "< 0123456789abcdef0123456789abcdef",
        "diff -r --no-dereference A/hard B/hard",
        "1c1",
        "< deep",
        "\\ No newline at end of file",
        "---",
        "> own",
        "\\ No newline at end of file",
        "Only in B/usr/bin: new",
        "Only in A/var/lib/dbus: machine-id",
        "Only in B: lost+found",
        "Only in B: x",
    ];
    differing.sort();
    let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(differing, expected);
}

#[test]
fn the_files_that_make_it_boot_are_in_the_tree() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    let layout = Layout { cmdline: "console=ttyS0 quiet".parse().unwrap(), ..tree.layout("d.raw") };
    let got = made(&layout, &tree.tar(&[])).unwrap();
    let mut fs = open(&layout);
    let fstab = format!(
        "# Written by kiln. See fstab(5).\nUUID={} / ext4 errors=remount-ro 0 1\n\
         UUID={} /boot/efi vfat umask=0077,nofail 0 2\n",
        got.root_uuid, got.esp_uuid
    );
    assert_eq!(read(&mut fs, "/etc/fstab"), fstab);
    let menu = read(&mut fs, "/boot/grub/grub.cfg");
    let line = format!(
        "\tlinux /boot/vmlinuz-6.1.0-10-amd64 root=UUID={} ro console=ttyS0 quiet\n\
         \tinitrd /boot/initrd.img-6.1.0-10-amd64\n",
        got.root_uuid
    );
    assert!(menu.contains(&line), "{menu}");
    assert_eq!(read(&mut fs, "/etc/machine-id"), "");
    let defaults = read(&mut fs, "/etc/default/grub.d/50-kiln.cfg");
    assert!(defaults.contains("GRUB_CMDLINE_LINUX=\"console=ttyS0 quiet\"\n"), "{defaults}");
    if need_program("grub-script-check") {
        let path = tree.folder.path().join("grub.cfg");
        fs::write(&path, menu).unwrap();
        let _ = run(&["grub-script-check", path.to_str().unwrap()]).success();
    }
    let blkid = run(&["blkid", "-p", "-O", &ROOT.to_string(), layout.output.to_str().unwrap()]);
    let blkid = blkid.success().stdout;
    assert!(blkid.contains(&format!("UUID=\"{}\"", got.root_uuid)), "{blkid}");
    assert!(blkid.contains("LABEL=\"root\""), "{blkid}");
}

#[test]
fn the_esp_has_the_signed_loaders() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    let layout = tree.layout("d.raw");
    let got = made(&layout, &tree.tar(&[])).unwrap();
    let esp = tree.folder.path().join("esp");
    let disk = fs::File::open(&layout.output).unwrap();
    let mut bytes = vec![0; 64 << 20];
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut bytes, 2 << 20).unwrap();
    fs::write(&esp, bytes).unwrap();
    let esp = esp.to_str().unwrap();
    let _ = run(&["fsck.vfat", "-n", esp]).success();
    let read = |path: &str| run(&["mtype", "-i", esp, path]).success().stdout;
    assert_eq!(read("::EFI/BOOT/BOOTX64.EFI"), "shim");
    assert_eq!(read("::EFI/BOOT/grubx64.efi"), "grub");
    assert_eq!(read("::EFI/BOOT/mmx64.efi"), "manager");
    let config = format!(
        "search.fs_uuid {} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n",
        got.root_uuid
    );
    assert_eq!(read("::EFI/debian/grub.cfg"), config);
    assert_eq!(run(&["blkid", "-p", "-s", "UUID", "-o", "value", esp]).stdout.trim(), got.esp_uuid);
}

#[test]
fn the_same_stream_gives_the_same_bytes_and_every_format_the_same_tree() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    let (one, two) = (tree.layout("1.raw"), tree.layout("2.raw"));
    let tar = tree.tar(&[]);
    made(&one, &tar).unwrap();
    made(&two, &tar).unwrap();
    assert_eq!(
        run(&["cmp", one.output.to_str().unwrap(), two.output.to_str().unwrap()]).stdout,
        ""
    );
    let long = "n".repeat(120);
    tree.file(&format!("{long}/{long}"), b"gnu");
    for (name, format) in [("g.raw", "--format=gnu"), ("u.raw", "--format=ustar")] {
        if name == "u.raw" {
            fs::remove_dir_all(tree.path(&long)).unwrap();
        }
        let layout = tree.layout(name);
        // ustar has no extended attributes.
        let own = [format, "--no-xattrs"];
        made(&layout, &tree.tar(&own)).unwrap();
        check(&layout);
        let mut fs = open(&layout);
        assert_eq!(read(&mut fs, "/boot/vmlinuz-6.1.0-10-amd64"), "kernel");
        if name == "g.raw" {
            assert_eq!(read(&mut fs, &format!("{long}/{long}")), "gnu");
        }
    }
}

#[test]
fn extended_attributes_with_newlines_survive() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    tree.file("x", b"x");
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::setxattr(tree.path("x"), "user.kiln", VALUE, flags);
    if !need(set.is_ok(), "a temporary folder with extended attributes") {
        return;
    }
    let layout = tree.layout("d.raw");
    made(&layout, &tree.tar(&[])).unwrap();
    check(&layout);
    let mut fs = open(&layout);
    let node = fs.lookup(b"x").unwrap().unwrap();
    assert_eq!(fs.xattrs(node).unwrap(), [("user.kiln".to_owned(), VALUE.to_vec())]);
}

#[test]
fn grub_for_bios_and_an_unsigned_one_for_uefi_are_made_from_modules() {
    let folder = Path::new("/usr/lib/grub");
    let there = |platform: &str| folder.join(platform).join("moddep.lst").is_file();
    let packages = there("i386-pc") && there("x86_64-efi");
    if !tools()
        || !need_program("grub-mkimage")
        || !need(packages, "the packages grub-pc-bin and grub-efi-amd64-bin")
    {
        return;
    }
    let tree = Tree::new();
    fs::remove_dir_all(tree.path("usr/lib/shim")).unwrap();
    for platform in ["i386-pc", "x86_64-efi"] {
        for entry in fs::read_dir(folder.join(platform)).unwrap() {
            let entry = entry.unwrap();
            if !entry.path().is_file() {
                continue;
            }
            let name = entry.file_name().into_string().unwrap();
            tree.file(&format!("usr/lib/grub/{platform}/{name}"), &fs::read(entry.path()).unwrap());
        }
    }
    let both = vec![Firmware::Bios, Firmware::Uefi];
    let layout = Layout { firmware: both.clone(), ..tree.layout("d.raw") };
    let tar = tree.tar(&[]);
    let got = made(&layout, &tar).unwrap();
    check(&layout);
    assert_eq!((got.firmware, got.secure_boot), (both.clone(), false));
    let again = Layout { firmware: both, ..tree.layout("again.raw") };
    made(&again, &tar).unwrap();
    let (a, b) = (layout.output.to_str().unwrap(), again.output.to_str().unwrap());
    assert_eq!(run(&["cmp", a, b]).stdout, "");
    let disk = fs::read(&layout.output).unwrap();
    assert_eq!(disk[0x5c..0x64], 2048_u64.to_le_bytes());
    assert_eq!(disk[0x66..0x68], [0x90, 0x90]);
    assert!(disk[1 << 20..(1 << 20) + 512].windows(4).any(|w| w == b"Geom" || w == b"load"));
    let mut fs = open(&layout);
    for file in ["i386-pc/normal.mod", "i386-pc/command.lst", "x86_64-efi/normal.mod"] {
        let path = format!("/boot/grub/{file}");
        assert!(fs.lookup(path.as_bytes()).unwrap().is_some(), "{path}");
    }
}

#[test]
fn what_is_missing_or_too_much_is_said_and_nothing_is_left() {
    if !tools() {
        return;
    }
    let tree = Tree::new();
    let layout = tree.layout("d.raw");
    let error = |layout: &Layout, tar: &Path| {
        let error = made(layout, tar).unwrap_err();
        assert!(!layout.output.exists());
        error.to_string()
    };
    let whole = tree.tar(&[]);
    let bios = Layout { firmware: vec![Firmware::Bios], ..layout.clone() };
    assert_eq!(
        error(&bios, &whole),
        "the tree has no GRUB for BIOS; add the package `grub-pc-bin`"
    );
    let bytes = fs::read(&whole).unwrap();
    let cut = tree.folder.path().join("cut.tar");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(error(&layout, &cut), "could not read the root file system");
    let arm = Layout { arch: Some(Arch::Arm64), ..layout.clone() };
    if cfg!(target_arch = "x86_64") {
        assert_eq!(error(&arm, &whole), "the tree is for amd64; the disk is to be for arm64");
    }
    for n in ["9", "10"] {
        fs::remove_file(tree.path(&format!("boot/vmlinuz-6.1.0-{n}-amd64"))).unwrap();
    }
    assert_eq!(
        error(&layout, &tree.tar(&[])),
        "the tree has no kernel in `/boot`; add the package `linux-image-amd64`"
    );
    fs::remove_file(tree.path("usr/bin/sh")).unwrap();
    assert_eq!(
        error(&layout, &tree.tar(&[])),
        "the tree has no program for a known processor at `/bin/sh`"
    );
    // Nothing beside the disk is left either.
    let left = fs::read_dir(tree.folder.path()).unwrap().map(|e| e.unwrap().file_name());
    let mut left: Vec<_> = left.map(|n| n.into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["cut.tar", "t.tar", "tree"]);

    fs::write(&layout.output, b"mine").unwrap();
    let there = made(&layout, &whole).unwrap_err().to_string();
    assert_eq!(there, format!("could not write `{}`", layout.output.display()));
    assert_eq!(fs::read(&layout.output).unwrap(), b"mine");
}

#[test]
fn a_disk_of_the_size_that_was_said_to_be_enough_is_enough() {
    if !tools() {
        return;
    }
    // (files, bytes of each): much data, and many names.
    for (count, len) in [(40, 4 << 20), (11_000, 10)] {
        let tree = Tree::new();
        for n in 0..count {
            tree.file(&format!("d{}/f{n}", n / 1000), &vec![1; len]);
        }
        let tar = tree.tar(&[]);
        let small = Layout { size: Bytes::from_mib(100), ..tree.layout("d.raw") };
        let need = match made(&small, &tar).unwrap_err() {
            AssembleError::TooSmall { size, need } => {
                assert_eq!(size, Bytes::from_mib(100));
                need
            }
            other => panic!("{other}"),
        };
        assert!(need > small.size && need < Bytes::from_mib(900), "{need}");
        let enough = Layout { size: need, ..small };
        made(&enough, &tar).unwrap();
        check(&enough);
    }
}
