// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of `kiln image` on what only an appliance can hold: XFS on LVM, subvolumes of btrfs,
//! LUKS. Each start of the appliance takes half a minute without KVM: all is on one disk, and each
//! start tries much.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs;

use kiln_testkit::{Files, Output, need_program, run, run_with};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// Where each partition begins and ends, in MiB: `/boot` of the first system, its LVM; btrfs; LUKS.
const PARTS: [(u64, u64); 4] = [(1, 65), (65, 449), (449, 705), (705, 769)];

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

    /// Runs `kiln image VERB` on the disk.
    fn image(&self, verb: &str, args: &[&str]) -> Output {
        let disk = self.path("disk.raw");
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
            "xfs_repair",
            "busybox",
        ];
        if !programs.into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir_in("/var/tmp").unwrap() };
        lab.tar("boot", &fedora_boot());
        lab.tar("fedora", &fedora(&lab, "UUID=none /none ext4 nofail\n", "xfs"));
        let home = "LABEL=fbtrfs /home btrfs subvol=home 0 0\n";
        lab.tar("btrfs", &fedora(&lab, home, "btrfs"));
        // A shell that runs.
        let shell = fs::read("/bin/busybox").unwrap();
        lab.tar("debian", &Files::debian().file("usr/bin/dash", shell).mode(0o755));
        // The passphrase ends before the line feed.
        fs::write(lab.path("pass"), "correct horse").unwrap();
        fs::write(lab.path("key"), "correct horse\n").unwrap();
        let disk = fs::File::create(lab.path("disk.raw")).unwrap();
        disk.set_len(770 * MIB).unwrap();
        lab.encrypt();
        lab.fill();
        Some(lab)
    }

    /// Makes the encrypted partition's header, with as little work as may be for the key.
    fn encrypt(&self) {
        let (header, pass) = (self.path("luks.raw"), self.path("pass"));
        let (start, end) = PARTS[3];
        fs::File::create(&header).unwrap().set_len((end - start) * MIB).unwrap();
        let cryptsetup = ["cryptsetup", "luksFormat", "-q", "--pbkdf=pbkdf2"];
        let rest = ["--pbkdf-force-iterations=1000", "--key-file", &pass, &header];
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
        script.push_str(&unpack("debian.tar", "/"));
        fs::write(self.path("script"), script.replace('@', DISK)).unwrap();
        let fish = ["guestfish", "--keys-from-stdin", "-f", &self.path("script")];
        let env = [("LIBGUESTFS_BACKEND", "direct"), ("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")];
        let out = run_with(&fish, &env);
        assert_eq!((out.code, out.stderr.as_str()), (0, ""));
    }
}

/// What a Fedora has besides [`fedora_boot`].
fn fedora(lab: &Lab, fstab: &str, fs: &str) -> Files {
    let mut elf = vec![0; 4096];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 183;
    let release = "NAME=\"Fedora Linux\"\nVERSION_ID=41\nID=fedora\n\
        PRETTY_NAME=\"Fedora Linux 41 (Cloud Edition)\"\n";
    let root = if fs == "btrfs" {
        "LABEL=fbtrfs / btrfs compress=zstd:1,subvol=root 0 0\n"
    } else {
        "/dev/mapper/fedora-root / xfs defaults 0 0\nLABEL=fboot /boot ext4 defaults 1 2\n"
    };
    let folder = lab.path(&format!("rpm-{fs}"));
    drop(run(&["rpmdb", "--initdb", "--dbpath", &folder]).success());
    let rpm = std::fs::read(format!("{folder}/rpmdb.sqlite")).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me\n";
    Files::new()
        .file("usr/lib/os-release", release)
        .link("etc/os-release", "../usr/lib/os-release")
        .file("etc/hostname", format!("{fs}.example\n"))
        .file("etc/fstab", format!("{root}{fstab}"))
        .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        .file("etc/shadow", "root:!:19000:0:99999:7:::\n")
        .file("etc/ssh/ssh_host_ed25519_key", "secret\n")
        .mode(0o600)
        .file("root/.ssh/authorized_keys", key)
        .file("usr/bin/sh", &elf)
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

#[test]
fn an_appliance_holds_what_kiln_cannot() {
    let Some(lab) = Lab::new() else { return };
    inspected(&lab);
    let sealed = lab.image(
        "seal",
        &[
            "-v",
            "--root=2",
            "--operations=defaults,customize",
            "--hostname=new.example",
            "--write=/etc/motd:hello",
            "--mkdir=/srv/made",
            "--chmod=0711:/srv/made",
            "--json",
        ],
    );
    let sealed = sealed.success();
    assert!(sealed.stderr.contains("appliance: xfs on /dev/fedora/root"), "{}", sealed.stderr);
    let json: Value = serde_json::from_str(&sealed.stdout).unwrap();
    assert_eq!(json["dry_run"], false);
    read_back(&lab);
    encrypted(&lab);
}

/// Both systems are found and told rightly, a snapshot and what is encrypted are not.
fn inspected(lab: &Lab) {
    let out = lab.image("inspect", &["--json"]).success();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    let content: Vec<_> = json["disk"]["parts"].as_array().unwrap().iter().collect();
    let content: Vec<_> = content.iter().map(|part| part["content"].as_str().unwrap()).collect();
    assert_eq!(content, ["ext4", "LVM2_member", "btrfs", "crypto_LUKS"]);
    let systems = json["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{systems:#?}");
    let mount = |device: &str, path: &str, kind: &str| json!({ "device": device, "path": path, "kind": kind });
    let mounts = [
        json!([mount("sda3", "/", "btrfs"), mount("sda3", "/home", "btrfs")]),
        json!([mount("fedora/root", "/", "xfs"), mount("sda1", "/boot", "ext4")]),
    ];
    let about = [("sda3/root", "btrfs.example"), ("fedora/root", "xfs.example")];
    for ((system, mounts), (root, hostname)) in systems.iter().zip(mounts).zip(about) {
        assert_eq!(system["root"], root);
        assert_eq!(system["hostname"], hostname);
        assert_eq!(system["os"]["name"], "Fedora Linux 41 (Cloud Edition)");
        assert_eq!(system["os"]["id"], "fedora");
        assert_eq!(system["architecture"], "aarch64");
        assert_eq!(system["package_format"], "rpm");
        assert_eq!(system["kernels"].as_array().unwrap().len(), 1);
        assert_eq!(system["kernels"][0]["version"], "6.11.4-301.fc41.aarch64");
        assert_eq!(system["kernels"][0]["modules"], true);
        let initramfs = "/boot/initramfs-6.11.4-301.fc41.aarch64.img";
        assert_eq!(system["kernels"][0]["initramfs"], initramfs);
        assert_eq!(system["users"][0]["ssh_keys"], 1);
        assert_eq!(system["mounts"], mounts);
    }
    let notes: Vec<_> = json["notes"].as_array().unwrap().iter().collect();
    let noted = |text: &str| notes.iter().any(|note| note.as_str().unwrap().contains(text));
    assert!(noted("`UUID=none`, to be mounted on `/none`"), "{notes:?}");
    assert!(noted("`sda4` is left out: it is encrypted"), "{notes:?}");
}

/// What was sealed and changed is in the image, and nothing else.
fn read_back(lab: &Lab) {
    let archive = lab.path("out.tar");
    drop(lab.image("tar-out", &["--root=2", "/", "-o", &archive]).success());
    let file = |name: &str| run(&["tar", "-xOf", &archive, name]);
    let list = run(&["tar", "--numeric-owner", "-tvf", &archive]).success().stdout;
    let line = |name: &str| list.lines().find(|line| line.trim_end_matches('/').ends_with(name));
    let prefix = if line(" ./etc/hostname").is_some() { "./" } else { "" };
    assert_eq!(file(&format!("{prefix}etc/hostname")).success().stdout, "new.example\n");
    assert_eq!(file(&format!("{prefix}etc/motd")).success().stdout, "hello");
    assert!(line("srv/made").unwrap().starts_with("drwx--x--x 0/0 "), "{list}");
    assert!(line("grub2/grub.cfg").is_some(), "{list}");
    for gone in ["ssh_host_ed25519_key", "authorized_keys", "dnf.log"] {
        assert!(line(gone).is_none(), "{gone}: {list}");
    }
    let machine_id = file(&format!("{prefix}etc/machine-id")).success().stdout;
    assert!(!machine_id.contains("0123456789abcdef"), "{machine_id}");
}

/// A passphrase opens the third system, whose file system is in a container; its own programs run
/// on it; two images of it are compared.
fn encrypted(lab: &Lab) {
    let key = lab.path("key");
    let old = lab.path("old.raw");
    drop(run(&["cp", "--sparse=always", &lab.path("disk.raw"), &old]).success());
    let system = ["--key-file", &key, "--root=3"];
    let command = ["--run-command", "read -r name < /etc/hostname; echo \"$name ran\" > /etc/ran"];
    drop(lab.image("customize", &[&system[..], &command].concat()).success());
    let out = lab.image("cat", &[&system[..], &["/etc/hostname", "/etc/ran"]].concat());
    assert_eq!(out.success().stdout, "bookworm\nbookworm ran\n");
    let out = lab.image("diff", &[&[old.as_str(), "/"], &system[..]].concat());
    let removed = "- /etc/ran (file, 0644, 0:0, 13 bytes)";
    assert_eq!((out.code, out.stdout.contains(removed)), (1, true), "{out:?}");
    let changed: Vec<_> = out.stdout.lines().filter(|line| !line.contains("/etc/ran")).collect();
    assert!(changed.iter().all(|line| line.starts_with("~ /var/log")), "{out:?}");
}
