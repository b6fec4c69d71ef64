// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest with an XFS root and a separate `/boot`, held by an appliance. Each start of the
//! appliance takes half a minute without KVM, so this is one test with two starts.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_disk::image::{DiskImage, FormatName, ImageError, Mode, OpenOptions};
use kiln_guest::backend::appliance::{Appliance, ApplianceError, ApplianceTree, Settings};
use kiln_guest::ops::{EditContext, Network, Plan, customize};
use kiln_guest::transfer::{CopyOut, copy_out, tar_out};
use kiln_guest::tree::{
    Attrs, Change, GuestPath, Kind, New, Time, Tree, TreeError, find_all, walk,
};
use kiln_host::tools::guestfish::Fish;
use kiln_testkit::{need_program, run};

const NOW: Time = Time { seconds: 1_700_000_000, nanos: 5 };
/// Where the root's partition begins, and its size; mkfs.xfs(8) makes none below 300 MiB.
const ROOT: (u64, u64) = (64 << 20, 320 << 20);
/// How many files are in a directory that is walked through.
const MANY: usize = 1000;

fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, uid: 7, gid: 8, mtime: NOW }
}

/// Makes a disk with `/boot` on ext4 and a root on XFS, and without an appliance.
fn image(folder: &Path) -> PathBuf {
    let at = |name: &str| folder.join(name);
    let text = |path: PathBuf| path.display().to_string();
    fs::create_dir(at("boot")).unwrap();
    fs::write(at("boot/kernel"), "x").unwrap();
    fs::write(at("hostname"), "old\n").unwrap();
    let fstab = "LABEL=root / xfs defaults 0 0\nLABEL=boot /boot ext4 defaults 0 2\n\
        UUID=none /no ext4 nofail\n";
    fs::write(at("fstab"), fstab).unwrap();
    fs::write(at("big"), [&[7; 5 << 20][..], b"\0end"].concat()).unwrap();
    // mkfs.xfs(8), -p.
    let mut tree = format!(
        "/dev/null\n0 0\nd--755 0 0\nboot d--755 0 0\n$\nsrv d--755 0 0\n$\nno d--755 0 0\n$\n\
         usr d--755 0 0\nbin d--755 0 0\n$\n$\nbig ---600 3 4 {}\n\
         etc d--755 0 0\nhostname ---644 0 0 {}\nfstab ---644 0 0 {}\nname l--777 0 0 hostname\n\
         dangling l--777 0 0 /nowhere\nloop l--777 0 0 loop\n$\nmany d--755 0 0\n",
        text(at("big")),
        text(at("hostname")),
        text(at("fstab")),
    );
    for n in 0..MANY {
        writeln!(tree, "file-{n} ---644 0 0 {}", text(at("hostname"))).unwrap();
    }
    tree.push_str("$\n$\n");
    fs::write(at("proto"), tree).unwrap();
    let part = |name: &str, len: u64| {
        fs::File::create(at(name)).unwrap().set_len(len).unwrap();
        text(at(name))
    };
    let (boot, root) = (part("boot.raw", 32 << 20), part("root.raw", ROOT.1));
    let source = text(at("boot"));
    drop(run(&["mke2fs", "-q", "-F", "-t", "ext4", "-L", "boot", "-d", &source, &boot]).success());
    drop(run(&["mkfs.xfs", "-q", "-L", "root", "-p", &text(at("proto")), &root]).success());
    let disk = part("disk.raw", ROOT.0 + ROOT.1 + (1 << 20));
    let table = "label: gpt\nstart=2048, size=65536\nstart=131072, size=655360\n";
    fs::write(at("table"), table).unwrap();
    drop(run(&["sh", "-c", &format!("sfdisk -q {disk} < {}", text(at("table")))]).success());
    for (from, start) in [(&boot, 1 << 20), (&root, ROOT.0)] {
        let seek = format!("seek={}", start >> 20);
        let (from, to) = (format!("if={from}"), format!("of={disk}"));
        let dd = ["dd", &from, &to, "bs=1M", &seek, "conv=notrunc,sparse", "status=none"];
        drop(run(&dd).success());
    }
    for name in ["boot.raw", "root.raw", "big"] {
        fs::remove_file(at(name)).unwrap();
    }
    PathBuf::from(disk)
}

#[test]
fn an_appliance_reads_and_changes_a_root_on_xfs_all_or_nothing() {
    let programs = ["guestfish", "qemu-img", "mkfs.xfs", "mke2fs", "sfdisk"];
    if !programs.into_iter().all(need_program) {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = image(folder.path());
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let sum = || run(&["sha256sum", &image.display().to_string()]).success().stdout;
    let before = sum();
    let options = |mode| {
        let format = Some(FormatName::Raw);
        OpenOptions { mode, format, ..OpenOptions::default() }
    };
    let open = |mode| {
        let settings =
            Settings { fish: Fish { kvm: false }, scratch: scratch.clone(), image: options(mode) };
        let mut starts = 0;
        let mut starting = || starts += 1;
        let mut appliance = Appliance::start(&image.as_path().into(), &settings, &mut starting)?;
        assert_eq!(starts, 1);
        appliance.choose(None)?;
        Ok::<_, ApplianceError>(appliance)
    };

    let mut appliance = open(Mode::Write).unwrap();
    assert_eq!((appliance.roots()[0].name.as_str(), &*appliance.roots()[0].fs), ("sda2", "xfs"));
    let notes: Vec<String> = appliance.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["`UUID=none`, to be mounted on `/no`, is not on this disk"]);
    // Nobody else may change it meanwhile.
    let other = DiskImage::open(&image, &options(Mode::Write));
    assert!(matches!(other, Err(ImageError::InUse { .. })), "{other:?}");
    looks(appliance.tree());
    walks(appliance.tree());
    changes(appliance.tree());
    assert_eq!(sum(), before, "nothing is in the image before the commit");
    appliance.commit().unwrap();
    let after = sum();
    assert_ne!(after, before);

    // Another appliance finds it all, and can try what it likes.
    let mut appliance = open(Mode::Scratch).unwrap();
    finds(appliance.tree());
    transfers(appliance.tree(), folder.path());
    appliance.tree().unlink(&path("/etc/hostname")).unwrap();
    assert!(appliance.tree().lstat(&path("/etc/hostname")).unwrap().is_none());
    drop(appliance);
    assert_eq!(sum(), after);
    let left = fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [".lock"], "nothing is left");
    let root = folder.path().join("root.raw").display().to_string();
    let from = format!("if={}", image.display());
    let (to, skip) = (format!("of={root}"), format!("skip={}", ROOT.0 >> 20));
    let count = format!("count={}", ROOT.1 >> 20);
    let dd = ["dd", &from, &to, "bs=1M", &skip, &count, "conv=sparse", "status=none"];
    drop(run(&dd).success());
    drop(run(&["xfs_repair", "-n", &root]).success());
}

fn looks(tree: &mut dyn Tree) {
    assert_eq!(tree.read(&path("/etc/name"), 100).unwrap(), b"old\n");
    assert_eq!(tree.read_link(&path("/etc/name")).unwrap(), b"hostname");
    assert_eq!(tree.lstat(&path("/etc/name")).unwrap().unwrap().kind, Kind::Symlink);
    assert!(tree.stat(&path("/etc/dangling")).unwrap().is_none());
    assert!(tree.stat(&path("/etc/loop/x")).unwrap().is_none());
    assert!(tree.lstat(&path("/etc/nothing")).unwrap().is_none());
    assert!(tree.lstat(&path("/etc/nothing/at/all")).unwrap().is_none());
    let names: Vec<_> = tree.list(&path("/etc")).unwrap();
    let names: Vec<_> = names.iter().map(|e| (String::from_utf8_lossy(&e.name), e.kind)).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!((&*names[4].0, names[4].1), ("name", Kind::Symlink));
    assert!(matches!(tree.list(&path("/etc/hostname")), Err(TreeError::NotADirectory { .. })));
    assert!(matches!(tree.list(&path("/etc/none")), Err(TreeError::NotFound { .. })));
    assert!(matches!(tree.read(&path("/etc"), 1 << 20), Err(TreeError::NotAFile { .. })));
    assert!(matches!(tree.read_link(&path("/etc")), Err(TreeError::NotALink { .. })));
    let big = tree.read(&path("/big"), 6 << 20).unwrap();
    assert_eq!((big.len(), &big[5 << 20..]), ((5 << 20) + 4, &b"\0end"[..]));
    let stat = tree.lstat(&path("/big")).unwrap().unwrap();
    assert_eq!((stat.attrs.mode, stat.attrs.uid, stat.attrs.gid), (0o600, 3, 4));
    let usage = tree.usage().unwrap();
    assert_eq!(usage.len(), 2);
    assert_eq!((usage[0].fs.as_str(), usage[1].mounted_on.clone()), ("xfs", path("/boot")));
    assert_eq!((usage[0].source.as_str(), usage[1].source.as_str()), ("sda2", "sda1"));
}

/// A walk asks for many files at once.
fn walks(tree: &mut dyn Tree) {
    let found = find_all(tree, &path("/many")).unwrap();
    assert_eq!(found.len(), MANY + 1);
    let all = walk::find(tree, &path("/many"), &mut |_, kind| kind == Kind::File).unwrap();
    assert_eq!(all.len(), MANY);
    for path in &all {
        assert!(tree.xattrs(path).unwrap().is_empty());
    }
}

/// What [`changes`] did, in another appliance.
fn finds(tree: &mut dyn Tree) {
    assert_eq!(tree.xattrs(&path("/srv/dir")).unwrap(), list());
    let read = |tree: &mut dyn Tree, at: &str| tree.read(&path(at), 1 << 20).unwrap();
    assert_eq!(read(tree, "/etc/hostname"), b"newer\n");
    assert_eq!(tree.read_link(&path("/etc/name")).unwrap(), b"hostname");
    assert_eq!(read(tree, "/boot/new"), b"boot");
    assert_eq!(read(tree, "/srv/a \"b\nc"), b"contents");
    assert_eq!(read(tree, "/srv/long").len(), 40_000);
    assert_eq!(read(tree, "/srv/binary"), [&[1, 0, 2][..], &[0; 100_000], b"z"].concat());
    assert_eq!(read(tree, "/srv/none"), b"");
    let names = tree.list(&path("/srv")).unwrap();
    let names: Vec<_> = names.iter().map(|e| String::from_utf8_lossy(&e.name)).collect();
    let all = ["a \"b\nc", "binary", "dir", "it's", "link", "long", "none", "null", "pipe", "sock"];
    assert_eq!(names, all);
    assert_eq!(tree.read_link(&path("/srv/link")).unwrap(), b"/x");
    let stat = tree.lstat(&path("/srv/dir")).unwrap().unwrap();
    assert_eq!((stat.kind, stat.attrs), (Kind::Directory, attrs(0o2755)));
    let stat = tree.lstat(&path("/srv/link")).unwrap().unwrap();
    assert_eq!((stat.attrs.uid, stat.attrs.gid, stat.attrs.mtime), (7, 8, NOW));
    assert_eq!(tree.lstat(&path("/srv/null")).unwrap().unwrap().device, (1, 3));
    assert_eq!(tree.xattrs(&path("/etc/hostname")).unwrap(), xattrs());
    assert!(tree.lstat(&path("/srv/second")).unwrap().is_none());
    assert_eq!(tree.xattrs(&path("/srv/dir")).unwrap(), list());
    let top = tree.list(&GuestPath::root()).unwrap();
    assert!(!top.iter().any(|e| e.name.starts_with(b".")), "{top:?}");
}

/// A folder's access control list for new files: `user::rwx,user:7:r-x,group::r-x,mask::r-x,other::---`.
fn list() -> Vec<(String, Vec<u8>)> {
    let entry = |tag: u16, rights: u16, id: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let all = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 7, u32::MAX),
        entry(2, 5, 7),
        entry(4, 5, u32::MAX),
        entry(16, 5, u32::MAX),
        entry(32, 0, u32::MAX),
    ];
    vec![("system.posix_acl_default".to_owned(), all.concat())]
}

fn xattrs() -> Vec<(String, Vec<u8>)> {
    let of = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    // Of setcap(8): cap_net_raw=ep.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    vec![
        of("security.capability", capability),
        of("user.x", b"value"),
        of("user.y", b"C:\\x01 \x01\xff"),
        of("user.z", b"\0"),
    ]
}

fn changes(tree: &mut dyn Tree) {
    tree.write(&path("/etc/name"), &mut &b"newer\n"[..], &attrs(0o600)).unwrap();
    tree.write(&path("/boot/new"), &mut &b"boot"[..], &attrs(0o600)).unwrap();
    // A name with what guestfish itself would take for its own.
    let odd = path("/srv/a \"b\nc");
    tree.write(&odd, &mut &b"contents"[..], &attrs(0o640)).unwrap();
    assert!(tree.list(&path("/srv")).unwrap().iter().any(|e| e.name == b"a \"b\nc"));
    tree.make(&path("/srv/link"), &New::Symlink(b"/x".to_vec()), &attrs(0o777)).unwrap();
    tree.make(&path("/srv/dir"), &New::Directory, &attrs(0o2755)).unwrap();
    tree.make(&path("/srv/null"), &New::Char(1, 3), &attrs(0o666)).unwrap();
    tree.make(&path("/srv/pipe"), &New::Fifo, &attrs(0o600)).unwrap();
    tree.make(&path("/srv/sock"), &New::Socket, &attrs(0o600)).unwrap();
    assert_eq!(tree.lstat(&path("/srv/null")).unwrap().unwrap().device, (1, 3));
    assert_eq!(tree.lstat(&path("/srv/sock")).unwrap().unwrap().kind, Kind::Socket);
    let exists = tree.make(&path("/srv/dir"), &New::Directory, &attrs(0o755));
    assert!(matches!(exists, Err(TreeError::Exists { .. })));
    tree.hard_link(&odd, &path("/srv/second")).unwrap();
    assert_eq!(tree.lstat(&odd).unwrap().unwrap().links, 2);
    let cross = tree.hard_link(&odd, &path("/boot/second"));
    assert!(matches!(cross, Err(TreeError::CrossDevice { .. })));
    tree.rename(&path("/srv/second"), &path("/srv/third")).unwrap();
    tree.unlink(&path("/srv/third")).unwrap();
    assert!(matches!(tree.rmdir(&path("/srv")), Err(TreeError::NotEmpty { .. })));
    let mode = Change { mode: Some(0o2755), ..Change::default() };
    tree.change(&path("/srv/dir"), &mode, true).unwrap();
    let old = vec![("user.old".to_owned(), b"1".to_vec())];
    tree.set_xattrs(&path("/etc/hostname"), &old).unwrap();
    tree.set_xattrs(&path("/etc/hostname"), &xattrs()).unwrap();
    assert_eq!(tree.xattrs(&path("/etc/hostname")).unwrap(), xattrs());
    tree.set_xattrs(&path("/srv/dir"), &list()).unwrap();
    assert_eq!(tree.xattrs(&path("/srv/dir")).unwrap(), list());
    tree.list(&path("/etc")).unwrap();
    assert_eq!(tree.xattrs(&path("/etc/hostname")).unwrap(), xattrs());
    tree.write(&path("/srv/long"), &mut &[b'\n'; 40_000][..], &attrs(0o600)).unwrap();
    let binary = [&[1, 0, 2][..], &[0; 100_000], b"z"].concat();
    tree.write(&path("/srv/binary"), &mut &binary[..], &attrs(0o600)).unwrap();
    tree.write(&path("/srv/none"), &mut &b""[..], &attrs(0o600)).unwrap();
    tree.write(&path("/srv/it's"), &mut &b"1"[..], &attrs(0o600)).unwrap();
    let dangling = tree.write(&path("/etc/dangling"), &mut &b"1"[..], &attrs(0o600));
    assert!(matches!(dangling, Err(TreeError::Exists { .. })), "{dangling:?}");
    let nowhere = tree.write(&path("/none/x"), &mut &b"1"[..], &attrs(0o600));
    assert!(matches!(nowhere, Err(TreeError::NotFound { .. })), "{nowhere:?}");
    assert!(matches!(tree.unlink(&path("/srv")), Err(TreeError::NotAFile { .. })));
    assert!(matches!(tree.unlink(&path("/x")), Err(TreeError::NotFound { .. })));
    assert!(matches!(tree.rmdir(&odd), Err(TreeError::NotADirectory { .. })));
    let cross = tree.rename(&odd, &path("/boot/moved"));
    assert!(matches!(cross, Err(TreeError::CrossDevice { .. })), "{cross:?}");
    let stat = tree.lstat(&odd).unwrap().unwrap();
    assert_eq!((stat.attrs, stat.size), (attrs(0o640), 8));
}

/// What the verbs do that bring files in and out: `ls`, `df`, `copy-out`, `tar-out`,
/// `copy-in`, `tar-in`, `edit`.
fn transfers(tree: &mut ApplianceTree, folder: &Path) {
    let at = |name: &str| folder.join(name);
    let usage = tree.usage().unwrap();
    let shown: Vec<_> = usage.iter().map(|u| (u.mounted_on.to_string(), u.fs.as_str())).collect();
    assert_eq!(shown, [("/".to_owned(), "xfs"), ("/boot".to_owned(), "ext4")]);
    assert!(usage.iter().all(|u| u.size.0 > u.free.0 && u.free.0 > 0), "{usage:?}");
    fs::create_dir(at("out")).unwrap();
    copy_out(tree, &path("/etc"), &at("out"), CopyOut::default()).unwrap();
    assert_eq!(fs::read(at("out/etc/hostname")).unwrap(), b"newer\n");
    assert_eq!(fs::read_link(at("out/etc/name")).unwrap(), Path::new("hostname"));
    let mut archive = fs::File::create(at("etc.tar")).unwrap();
    tar_out(tree, &path("/etc"), &mut archive).unwrap();
    drop(archive);
    let list = run(&["tar", "-tf", &at("etc.tar").display().to_string()]).success().stdout;
    assert!(list.contains("hostname") && list.contains("loop"), "{list}");
    fs::create_dir(at("site")).unwrap();
    fs::write(at("site/index.html"), "<p>").unwrap();
    let mut plan = Plan::default();
    let (site, tar) = (at("site").display().to_string(), at("etc.tar").display().to_string());
    for (name, argument) in [
        ("mkdir", "/srv/etc".to_owned()),
        ("tar-in", format!("{tar}:/srv/etc")),
        ("copy-in", format!("{site}:/srv")),
        ("edit", "/srv/etc/hostname:s/newer/edited/".to_owned()),
    ] {
        plan.add(name, Some(&argument)).unwrap();
    }
    let ctx = EditContext {
        tree,
        now: NOW,
        random: &mut |_| Ok(()),
        keys: &[],
        runner: None,
        network: Network::None,
        progress: &mut |_| {},
    };
    customize(&plan, ctx).unwrap();
    assert_eq!(tree.read(&path("/srv/site/index.html"), 99).unwrap(), b"<p>");
    assert_eq!(tree.read(&path("/srv/etc/hostname"), 99).unwrap(), b"edited\n");
}
