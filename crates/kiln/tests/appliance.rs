// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of `kiln image` on what only an appliance can hold: XFS on LVM, subvolumes of btrfs,
//! LUKS, half of a RAID 1. Each start of an appliance takes half a minute without KVM: all is on one
//! disk, and four starts try all: one makes the disk, one changes it, two look at it.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs;
use std::os::unix::fs::FileExt;

use kiln_testkit::{Files, Output, need_program, run, run_with};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// Where each partition begins and ends, in MiB: `/boot` of two systems, LVM of the first; btrfs;
/// LUKS with a key and without; a RAID 1 with LVM; a RAID 5.
const PARTS: [(u64, u64); 10] = [
    (1, 65),
    (65, 449),
    (449, 705),
    (705, 769),
    (769, 774),
    (774, 840),
    (840, 906),
    (906, 914),
    (914, 922),
    (922, 930),
];

/// The disk in guestfish's appliance, whose own disk may come first.
const DISK: &str = "/dev/disk/guestfs/disk";

/// A folder with a disk in it.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `kiln image VERB` on a disk.
    fn image(&self, verb: &str, disk: &str, args: &[&str]) -> Output {
        let disk = self.path(disk);
        let all = [&[env!("CARGO_BIN_EXE_kiln"), "image", verb, &disk], args].concat();
        run_with(&all, &[("KILN_HOME", &self.path("home"))])
    }

    /// Makes an archive of a guest's files.
    fn tar(&self, name: &str, files: &Files) {
        let folder = self.path(&format!("{name}.d"));
        fs::create_dir(&folder).unwrap();
        files.unpack(folder.as_ref());
        let archive = self.path(&format!("{name}.tar"));
        let tar = ["tar", "--owner=0", "--group=0", "-C", &folder, "-cf", &archive, "."];
        drop(run(&tar).success());
    }

    /// Makes the disk.
    fn new() -> Option<Self> {
        let programs = [
            "guestfish",
            "qemu-img",
            "cryptsetup",
            "mkfs.xfs",
            "mkfs.btrfs",
            "rpmdb",
            "mke2fs",
            "debugfs",
            "busybox",
        ];
        if !programs.into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir_in("/var/tmp").unwrap() };
        lab.tar("boot", &fedora_boot());
        let mut elf = vec![0; 4096];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 183;
        lab.tar("fedora", &fedora(&lab, XFS, "xfs", &elf));
        lab.tar("btrfs", &fedora(&lab, BTRFS, "btrfs", &elf));
        // A shell that runs.
        let shell = fs::read("/bin/busybox").unwrap();
        lab.tar("array", &fedora(&lab, ARRAY, "array", &shell));
        lab.tar("debian", &Files::debian().file("usr/bin/dash", shell).mode(0o755));
        // The passphrase ends before the line feed.
        fs::write(lab.path("pass"), "correct horse").unwrap();
        fs::write(lab.path("key"), "correct horse\n").unwrap();
        fs::write(lab.path("other"), "battery staple").unwrap();
        let disk = fs::File::create(lab.path("disk.raw")).unwrap();
        disk.set_len(931 * MIB).unwrap();
        lab.encrypt(PARTS[3], "luks2", &lab.path("pass"));
        lab.encrypt(PARTS[4], "luks1", &lab.path("other"));
        lab.fill();
        // Half of one array is lost, and two thirds of the other: nothing is left where they begin.
        for (start, _) in [PARTS[6], PARTS[8], PARTS[9]] {
            disk.write_all_at(&vec![0; 1 << 20], start * MIB).unwrap();
        }
        Some(lab)
    }

    /// Makes an encrypted partition's header, with as little work as may be for the key.
    fn encrypt(&self, (start, end): (u64, u64), kind: &str, pass: &str) {
        let header = self.path("luks.raw");
        fs::File::create(&header).unwrap().set_len((end - start) * MIB).unwrap();
        let cryptsetup = ["cryptsetup", "luksFormat", "-q", "--pbkdf=pbkdf2", "--type", kind];
        let rest = ["--pbkdf-force-iterations=1000", "--key-file", pass, &header];
        drop(run(&[&cryptsetup[..], &rest].concat()).success());
        let (from, to) = (format!("if={header}"), format!("of={}", self.path("disk.raw")));
        let seek = format!("seek={start}");
        let dd = ["dd", &from, &to, "bs=1M", &seek, "conv=notrunc,sparse", "status=none"];
        drop(run(&dd).success());
    }

    /// Makes file systems and fills them, in an appliance of guestfish's own.
    fn fill(&self) {
        let mut script = format!(
            "add-drive {} format:raw label:disk\nrun\npart-init @ gpt\n",
            self.path("disk.raw")
        );
        for (start, end) in PARTS {
            script.push_str(&format!("part-add @ p {} {}\n", start * 2048, end * 2048 - 1));
        }
        let unpack = |what: &str, at: &str| format!("tar-in {} {at}\n", self.path(what));
        script.push_str(
            "mkfs ext4 @1 label:fboot\npvcreate @2\nvgcreate fedora @2\n\
             lvcreate root fedora 340\nmkfs xfs /dev/fedora/root\nmount /dev/fedora/root /\n",
        );
        script.push_str(&(unpack("fedora.tar", "/") + "mount @1 /boot\n"));
        script.push_str(&(unpack("boot.tar", "/boot") + "umount-all\n"));
        script.push_str(
            "mkfs btrfs @3 label:fbtrfs\nmount @3 /\nbtrfs-subvolume-create /root\n\
             btrfs-subvolume-create /home\numount-all\nmount btrfsvol:@3/root /\n",
        );
        script.push_str(&(unpack("btrfs.tar", "/") + &unpack("boot.tar", "/boot")));
        script.push_str(
            "umount-all\nmount @3 /\nmkdir /home/user\nbtrfs-subvolume-snapshot /root /old\n\
             umount-all\ncryptsetup-open @4 c\ncorrect horse\nmkfs ext4 /dev/mapper/c\n\
             mount /dev/mapper/c /\n",
        );
        script.push_str(&(unpack("debian.tar", "/") + "umount-all\n"));
        script.push_str(
            "md-create half \"@6 @7\" level:raid1\npvcreate /dev/md/half\n\
             vgcreate array /dev/md/half\nlvcreate root array 52\nmkfs ext4 /dev/array/root\n\
             mount /dev/array/root /\n",
        );
        script.push_str(&unpack("array.tar", "/"));
        script.push_str("umount-all\nmd-create third \"@8 @9 @10\" level:raid5\n");
        fs::write(self.path("script"), script.replace('@', DISK)).unwrap();
        let fish = ["guestfish", "--keys-from-stdin", "-f", &self.path("script")];
        let env = [("LIBGUESTFS_BACKEND", "direct"), ("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")];
        let out = run_with(&fish, &env);
        assert_eq!((out.code, out.stderr.as_str()), (0, ""));
    }
}

/// What the systems have in `/etc/fstab`.
const XFS: &str = "/dev/mapper/fedora-root / xfs defaults 0 0\nLABEL=fboot /boot ext4 defaults 1 2\n\
    UUID=none /none ext4 nofail\n";
const BTRFS: &str = "LABEL=fbtrfs / btrfs compress=zstd:1,subvol=root 0 0\n\
    LABEL=fbtrfs /home btrfs subvol=home 0 0\n";
const ARRAY: &str =
    "/dev/mapper/array-root / ext4 defaults 0 0\nLABEL=fboot /boot ext4 defaults 0 0\n";

/// What a Fedora has besides [`fedora_boot`].
fn fedora(lab: &Lab, fstab: &str, name: &str, shell: &[u8]) -> Files {
    let release = "NAME=\"Fedora Linux\"\nVERSION_ID=41\nID=fedora\n\
        PRETTY_NAME=\"Fedora Linux 41 (Cloud Edition)\"\n";
    let folder = lab.path(&format!("rpm-{name}"));
    drop(run(&["rpmdb", "--initdb", "--dbpath", &folder]).success());
    let rpm = std::fs::read(format!("{folder}/rpmdb.sqlite")).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me\n";
    Files::new()
        .file("usr/lib/os-release", release)
        .link("etc/os-release", "../usr/lib/os-release")
        .file("etc/hostname", format!("{name}.example\n"))
        .file("etc/fstab", fstab)
        .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        .file("etc/shadow", "root:!:19000:0:99999:7:::\n")
        .file("etc/ssh/ssh_host_ed25519_key", "secret\n")
        .mode(0o600)
        .file("root/.ssh/authorized_keys", key)
        .file("usr/bin/sh", shell)
        .mode(0o755)
        .link("bin", "usr/bin")
        .dir("usr/lib/modules/6.11.4-301.fc41.aarch64")
        .link("lib", "usr/lib")
        .file("usr/lib/sysimage/rpm/rpmdb.sqlite", rpm)
        .dir("var/log")
        .file("var/log/dnf.log", "1\n")
        .dir("boot")
        .dir("home")
        .dir("none")
}

fn fedora_boot() -> Files {
    Files::new()
        .file("vmlinuz-6.11.4-301.fc41.aarch64", "kernel")
        .file("initramfs-6.11.4-301.fc41.aarch64.img", "")
        .file("grub2/grub.cfg", "set root=hd0\n")
}

/// What is changed, in the appliance and in process.
const CHANGES: [&str; 8] = [
    "--operations=defaults,customize",
    "--hostname=new.example",
    "--write=/etc/motd:hello",
    "--mkdir=/srv/made",
    "--chmod=0711:/srv/made",
    "--write=/boot/new:1",
    "--run-command",
    "read -r name < /etc/hostname; echo \"$name ran\" > /etc/ran",
];

#[test]
fn an_appliance_holds_what_kiln_cannot() {
    let Some(lab) = Lab::new() else { return };
    let sealed = [&["-v", "--root=array/root", "--json"], &CHANGES[..]].concat();
    let sealed = lab.image("seal", "disk.raw", &sealed).success();
    assert!(sealed.stderr.contains("appliance: ext4 on /dev/array/root"), "{}", sealed.stderr);
    let json: Value = serde_json::from_str(&sealed.stdout).unwrap();
    assert_eq!(json["dry_run"], false);
    inspected(&lab);
    twins(&lab);
}

/// All systems are found and told rightly, the sealed one as it is now; a snapshot and what no key
/// opens are not.
fn inspected(lab: &Lab) {
    let out = lab.image("inspect", "disk.raw", &["--json", "--key-file", &lab.path("key")]);
    let json: Value = serde_json::from_str(&out.success().stdout).unwrap();
    let content: Vec<_> = json["disk"]["parts"].as_array().unwrap().iter().collect();
    let content: Vec<_> = content.iter().map(|part| part["content"].as_str().unwrap()).collect();
    let (luks, raid) = ("crypto_LUKS", "linux_raid_member");
    assert_eq!(content[..6], ["ext4", "LVM2_member", "btrfs", luks, luks, raid]);
    let systems = json["systems"].as_array().unwrap();
    let mount = |device: &str, path: &str, kind: &str| json!({ "device": device, "path": path, "kind": kind });
    let boot = mount("sda1", "/boot", "ext4");
    let about = [
        (
            "sda3/root",
            "btrfs.example",
            "aarch64",
            1,
            json!([mount("sda3", "/", "btrfs"), mount("sda3", "/home", "btrfs")]),
        ),
        (
            "fedora/root",
            "xfs.example",
            "aarch64",
            1,
            json!([mount("fedora/root", "/", "xfs"), boot]),
        ),
        ("array/root", "new.example", "x86_64", 0, json!([mount("array/root", "/", "ext4"), boot])),
    ];
    assert_eq!(systems.len(), about.len() + 1, "{systems:#?}");
    for (root, hostname, architecture, keys, mounts) in about {
        let found = systems.iter().find(|system| system["root"] == root);
        let system = found.unwrap_or_else(|| panic!("no {root}: {json:#}"));
        assert_eq!(system["hostname"], hostname);
        assert_eq!(system["os"]["name"], "Fedora Linux 41 (Cloud Edition)");
        assert_eq!(system["os"]["id"], "fedora");
        assert_eq!(system["architecture"], architecture);
        assert_eq!(system["package_format"], "rpm");
        assert_eq!(system["kernels"].as_array().unwrap().len(), 1);
        assert_eq!(system["kernels"][0]["version"], "6.11.4-301.fc41.aarch64");
        assert_eq!(system["kernels"][0]["modules"], true);
        let initramfs = "/boot/initramfs-6.11.4-301.fc41.aarch64.img";
        assert_eq!(system["kernels"][0]["initramfs"], initramfs);
        assert_eq!(system["users"][0]["ssh_keys"], keys);
        assert_eq!(system["mounts"], mounts);
    }
    // What a key opened comes last: the others keep their numbers.
    let last = systems.last().unwrap();
    assert_eq!((&last["root"], &last["os"]["id"]), (&json!("mapper/kiln0"), &json!("debian")));
    let notes: Vec<_> = json["notes"].as_array().unwrap().iter().collect();
    let noted = |text: &str| notes.iter().any(|note| note.as_str().unwrap().contains(text));
    assert!(noted("`UUID=none`, to be mounted on `/none`"), "{notes:?}");
    assert!(noted("`sda5` is left out: it is encrypted"), "{notes:?}");
    assert!(noted("`sda8` is left out: it belongs to an array"), "{notes:?}");
    assert!(!noted("`sda6`") && !noted("``"), "{notes:?}");
}

/// What the appliance made of the system is what is made of it in process.
fn twins(lab: &Lab) {
    let archive = |name: &str| lab.path(&format!("{name}.tar"));
    for disk in ["here.raw", "there.raw"] {
        Files::new().dir("boot").ext(lab.path(disk).as_ref(), "96M", &[]);
    }
    drop(lab.image("tar-in", "here.raw", &[&archive("array"), "-C", "/"]).success());
    drop(lab.image("tar-in", "here.raw", &[&archive("boot"), "-C", "/boot"]).success());
    drop(lab.image("seal", "here.raw", &CHANGES).success());
    let out = ["--root=array/root", "/", "-o", &archive("out")];
    drop(lab.image("tar-out", "disk.raw", &out).success());
    drop(lab.image("tar-in", "there.raw", &[&archive("out"), "-C", "/"]).success());
    let diff = lab.image("diff", "here.raw", &[&lab.path("there.raw")]);
    let different = |line: &&str| !line.contains("/lost+found ");
    assert_eq!(diff.stdout.lines().filter(different).collect::<Vec<_>>(), [""; 0], "{diff:?}");
    let cat = lab.image("cat", "there.raw", &["/etc/ran", "/etc/motd", "/boot/new"]);
    assert_eq!(cat.success().stdout, "new.example ran\nhello1");
}
