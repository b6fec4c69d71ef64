// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree over several partitions, as sfdisk, e2fsck, debugfs, fsck.vfat and mtools read them.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kiln_disk::assemble::{
    AssembleError, Assembled, BIOS_BOOT, Holds, Layout, NewTable, Part, Volume, VolumeKind,
    assemble,
};
use kiln_host::RealHost;
use kiln_spec::Bytes;
use kiln_spec::image::Firmware;
use kiln_testkit::{need_program, run};

const TIME: u64 = 1_700_000_000;

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Makes a tree with a kernel, a program, signed loaders, and something at each mount point.
    fn new() -> Option<Self> {
        let tools = ["tar", "mke2fs", "e2fsck", "debugfs", "sfdisk", "fsck.vfat", "mtype", "blkid"];
        if !tools.into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir().expect("a folder") };
        lab.file("usr/bin/sh", &fs::read("/bin/sh").expect("this machine's shell"));
        symlink("usr/bin", lab.path("tree/bin")).expect("a link");
        lab.file("etc/os-release", b"ID=debian\nVERSION_ID=12\n");
        lab.file("boot/vmlinuz-6.1.0-10-amd64", b"kernel");
        lab.file("boot/initrd.img-6.1.0-10-amd64", b"initrd");
        lab.file("usr/lib/shim/shimx64.efi.signed", b"shim");
        lab.file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"grub");
        lab.file("var/lib/dbus/machine-id", b"0123456789abcdef0123456789abcdef\n");
        lab.file("var/lib/a", b"in var");
        lab.file("var/log/b", b"in var's log");
        fs::hard_link(lab.path("tree/var/lib/a"), lab.path("tree/var/lib/twin")).expect("a link");
        fs::hard_link(lab.path("tree/var/lib/a"), lab.path("tree/etc/other")).expect("a link");
        symlink("../etc/other", lab.path("tree/var/link")).expect("a link");
        lab.file("srv/x.txt", b"for all\n");
        fs::set_permissions(lab.path("tree/var/lib"), fs::Permissions::from_mode(0o2770))
            .expect("permissions");
        Some(lab)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.path("tree").join(path);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn made(&self, layout: &Layout) -> Result<Assembled, AssembleError> {
        let (tree, tar) = (self.path("tree"), self.path("t.tar"));
        let words =
            ["tar", "--owner=0", "--group=0", "--xattrs", "-C", tree.to_str().expect("text")];
        let _ = run(&[&words[..], &["-cf", tar.to_str().expect("text"), "."]].concat()).success();
        let mut stream = File::open(tar).expect("the archive");
        assemble(layout, &mut stream, &RealHost, &mut |_| ())
    }

    fn layout(&self, parts: Vec<Part>) -> Layout {
        let new = Layout::new(self.path("d.raw"), Bytes::from_mib(700), [9; 16], TIME);
        Layout { partitions: Some(parts), any_firmware: true, ..new }
    }

    /// Returns where the partitions begin, in bytes, and their types, as sfdisk reads the table.
    fn table(&self) -> Vec<(u64, String)> {
        let disk = self.path("d.raw");
        let verified = run(&["sfdisk", "--verify", disk.to_str().expect("text")]).success().stdout;
        assert!(verified.contains("No errors detected"), "{verified}");
        let dump = run(&["sfdisk", "-d", disk.to_str().expect("text")]).success().stdout;
        let value = |line: &str, key: &str| {
            let rest = line.split(key).nth(1)?;
            Some(rest.split([',', ' ']).find(|word| !word.is_empty())?.trim().to_lowercase())
        };
        let lines =
            dump.lines().filter_map(|line| Some((value(line, "start=")?, value(line, "type=")?)));
        lines.map(|(start, kind)| (start.parse::<u64>().expect("a number") * 512, kind)).collect()
    }

    /// Has e2fsck check the file system at `start`.
    fn check(&self, start: u64) {
        let image = format!("{}?offset={start}", self.path("d.raw").display());
        let checked = run(&["e2fsck", "-fn", &image]);
        assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    }

    fn debugfs(&self, start: u64, request: &str) -> String {
        let image = format!("{}?offset={start}", self.path("d.raw").display());
        run(&["debugfs", "-R", request, &image]).success().stdout
    }

    fn uuid(&self, start: u64) -> String {
        let disk = self.path("d.raw");
        let words = ["blkid", "-p", "-o", "value", "-s", "UUID", "-O", &start.to_string()];
        run(&[&words[..], &[disk.to_str().expect("text")]].concat())
            .success()
            .stdout
            .trim()
            .to_owned()
    }
}

fn part(name: &str, mib: Option<u64>, holds: Holds) -> Part {
    Part { name: name.into(), size: mib.map(Bytes::from_mib), holds }
}

fn volume(mount: &str, kind: VolumeKind) -> Holds {
    let (label, options) = (Some("data".into()), None);
    Holds::Volume(Volume { mount: mount.into(), kind, label, options })
}

fn several() -> Vec<Part> {
    vec![
        part("esp", Some(64), Holds::Esp),
        Part { size: Some(BIOS_BOOT), ..part("bsp", None, Holds::BiosBoot) },
        part("boot", Some(64), volume("/boot", VolumeKind::Ext4)),
        part("swap", Some(16), Holds::Swap),
        part("root", Some(200), Holds::Root),
        part("srv", Some(40), volume("/srv", VolumeKind::Vfat)),
        part("log", Some(40), volume("/var/log", VolumeKind::Ext4)),
        part("var", None, volume("/var", VolumeKind::Ext4)),
    ]
}

#[test]
fn each_partition_has_what_lies_at_its_mount_point() {
    let Some(lab) = Lab::new() else { return };
    let layout = lab.layout(several());
    let made = lab.made(&layout).unwrap();
    assert_eq!(made.firmware, [Firmware::Uefi]);
    let table = lab.table();
    let kinds: Vec<_> = table.iter().map(|(_, kind)| kind.split('-').next().unwrap()).collect();
    let wanted = [
        "c12a7328", "21686148", "0fc63daf", "0657fd6d", "4f68bce3", "ebd0a0a2", "0fc63daf",
        "0fc63daf",
    ];
    assert_eq!(kinds, wanted);
    let start = |number: usize| table[number - 1].0;
    let (boot, root, srv, log, var) = (start(3), start(5), start(6), start(7), start(8));
    for start in [boot, root, log, var] {
        lab.check(start);
    }
    let ls = |start, path: &str| {
        let listed = lab.debugfs(start, &format!("ls -p {path}"));
        let mut names: Vec<_> = listed.lines().filter_map(|line| line.split('/').nth(5)).collect();
        names.retain(|name| ![".", ".."].contains(name));
        names.join(" ")
    };
    // The mount points themselves are there, and empty.
    for (start, path) in [(root, "/boot"), (root, "/srv"), (root, "/var"), (var, "/log")] {
        assert_eq!(ls(start, path), "", "{path}");
    }
    assert_eq!(ls(var, "/"), "lib link log lost+found");
    assert_eq!(ls(log, "/"), "b lost+found");
    assert_eq!(
        ls(boot, "/"),
        "efi grub initrd.img-6.1.0-10-amd64 lost+found vmlinuz-6.1.0-10-amd64"
    );
    assert_eq!(lab.debugfs(var, "cat /lib/a"), "in var");
    assert_eq!(lab.debugfs(root, "cat /etc/other"), "in var");
    // What made a machine that one is gone on whichever partition it is; links stay links where
    // both names are on one.
    assert_eq!(ls(var, "/lib"), "a dbus twin");
    assert_eq!(ls(var, "/lib/dbus"), "");
    let stat = |start, path: &str| lab.debugfs(start, &format!("stat {path}"));
    assert!(stat(var, "/lib/twin").contains("Links: 2"));
    assert!(stat(root, "/etc/other").contains("Links: 1"));
    assert!(stat(var, "/lib").contains("Mode:  02770"), "{}", stat(var, "/lib"));
    let fat = format!("{}@@{srv}", lab.path("d.raw").display());
    assert_eq!(run(&["mtype", "-i", &fat, "::x.txt"]).success().stdout, "for all\n");

    let fstab = lab.debugfs(root, "cat /etc/fstab");
    let lines = [
        format!("UUID={} / ext4 errors=remount-ro 0 1", lab.uuid(root)),
        format!("UUID={} /boot ext4 defaults 0 2", lab.uuid(boot)),
        format!("UUID={} /srv vfat defaults 0 2", lab.uuid(srv)),
        format!("UUID={} /var ext4 defaults 0 2", lab.uuid(var)),
        format!("UUID={} /var/log ext4 defaults 0 2", lab.uuid(log)),
        format!("UUID={} /boot/efi vfat umask=0077,nofail 0 2", lab.uuid(start(1))),
        format!("UUID={} none swap sw 0 0", lab.uuid(start(4))),
    ];
    assert_eq!(fstab.lines().skip(1).collect::<Vec<_>>(), lines);
    let grub = lab.debugfs(boot, "cat /grub/grub.cfg");
    assert!(grub.contains(&format!("--set=root {}\n", lab.uuid(boot))), "{grub}");
    assert!(grub.contains("\tlinux /vmlinuz-6.1.0-10-amd64 root=UUID="), "{grub}");
    let esp = format!("{}@@{}", lab.path("d.raw").display(), start(1));
    let early = run(&["mtype", "-i", &esp, "::EFI/debian/grub.cfg"]).success().stdout;
    assert!(early.contains(&lab.uuid(boot)) && early.contains("prefix=($root)/grub\n"), "{early}");

    // The same bytes again.
    let one = fs::read(lab.path("d.raw")).unwrap();
    fs::remove_file(lab.path("d.raw")).unwrap();
    let _ = lab.made(&layout).unwrap();
    assert!(fs::read(lab.path("d.raw")).unwrap() == one);
}

#[test]
fn an_old_table_has_up_to_four() {
    let Some(lab) = Lab::new() else { return };
    let parts = vec![
        part("esp", Some(64), Holds::Esp),
        part("var", Some(100), volume("/var", VolumeKind::Ext4)),
        part("root", None, Holds::Root),
    ];
    let layout = Layout { table: NewTable::Mbr, ..lab.layout(parts.clone()) };
    let _ = lab.made(&layout).unwrap();
    let table = lab.table();
    assert_eq!(table.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), ["ef", "83", "83"]);
    lab.check(table[1].0);
    lab.check(table[2].0);
    let five = ["/a", "/b"].map(|mount| part(mount, Some(1), volume(mount, VolumeKind::Ext4)));
    let layout = Layout { partitions: Some([&five[..], &parts].concat()), ..layout };
    fs::remove_file(lab.path("d.raw")).unwrap();
    assert!(matches!(lab.made(&layout), Err(AssembleError::Table { .. })));
}

#[test]
fn what_does_not_fit_or_cannot_be_is_named() {
    let Some(lab) = Lab::new() else { return };
    let with = |number: usize, holds: Holds| {
        let mut parts = several();
        parts[number].holds = holds;
        lab.made(&lab.layout(parts)).unwrap_err().to_string()
    };
    let why = |text: &str| format!("the disk's layout cannot be made: {text}");
    assert_eq!(with(4, Holds::Swap), why("a disk has one root partition"));
    assert_eq!(
        with(5, volume("/usr", VolumeKind::Ext4)),
        why("`/usr` cannot be a partition of its own: it is needed before one is mounted")
    );
    for mount in ["srv", "/", "/a//b", "/a/../b", "/a b", "/x/"] {
        assert!(
            with(5, volume(mount, VolumeKind::Ext4)).contains("is no place to mount"),
            "{mount}"
        );
    }
    assert_eq!(
        with(5, volume("/var", VolumeKind::Ext4)),
        why("two partitions are mounted at `/var`")
    );
    assert!(with(5, volume("/boot/efi", VolumeKind::Vfat)).contains("EFI system partition goes"));
    lab.file("var/log/large", &vec![7; 45 << 20]);
    let layout = lab.layout(several());
    assert_eq!(
        lab.made(&layout).unwrap_err().to_string(),
        "what the tree has for `/var/log` does not fit its partition of 40 MiB"
    );
    assert!(!Path::new(&layout.output).exists());
    symlink("x", lab.path("tree/srv/link")).unwrap();
    assert_eq!(
        lab.made(&layout).unwrap_err().to_string(),
        "`/srv/link` is a symlink, and its partition is to be FAT, which has none"
    );
}
