// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `--trust`: what Kiln cannot read itself, mounted by this host's kernel where nobody sees it.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_testkit::{Output, need, need_program, need_root, run};

use crate::support::Lab;

/// Where the root begins and its size in MiB; mkfs.xfs(8) makes none below 300 MiB.
const ROOT: (u64, u64) = (32, 320);

/// A disk with a root on XFS and `/boot` on ext4.
struct Xfs {
    lab: Lab,
    disk: String,
}

/// Returns whether this host's kernel can hold images here.
fn can_trust(fs: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains(fs));
    let devices = ["/dev/loop-control", "/dev/fuse"];
    need_root("mounts")
        && need(known, &format!("a kernel with {fs}"))
        && devices.into_iter().all(|path| need(fs::metadata(path).is_ok(), path))
}

impl Xfs {
    fn new() -> Option<Self> {
        let programs = ["mkfs.xfs", "xfs_repair", "unshare", "qemu-storage-daemon"];
        if !can_trust("xfs") || !programs.into_iter().all(need_program) {
            return None;
        }
        let lab = Lab::debian()?;
        let at = |name: &str| lab.path(name);
        fs::create_dir(at("boot")).expect("made");
        fs::write(at("boot/kernel"), "x").expect("written");
        fs::write(at("hostname"), "old\n").expect("written");
        fs::write(at("secret"), "the host's").expect("written");
        fs::write(at("big"), vec![7; 5 << 20]).expect("written");
        let release = "ID=fedora\nVERSION_ID=41\nPRETTY_NAME=\"Fedora Linux 41\"\n";
        fs::write(at("release"), release).expect("written");
        let mut elf = vec![0; 4096];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 183;
        fs::write(at("elf"), elf).expect("written");
        fs::write(at("fstab"), "LABEL=root / xfs defaults 0 0\nLABEL=boot /boot ext4 ro 0 2\n")
            .expect("written");
        // mkfs.xfs(8), -p.
        let tree = format!(
            "/dev/null\n0 0\nd--755 0 0\nboot d--755 0 0\n$\nusr d--755 0 0\nbin d--755 0 0\n\
             sh ---755 0 0 {elf}\n$\n$\nbin l--777 0 0 usr/bin\nbig ---600 3 4 {big}\nout l--777 0 0 {secret}\nup l--777 0 0 ../../../..{secret}\n\
             pipe p--644 0 0\nnull c--666 0 0 1 3\netc d--755 0 0\nhostname ---644 0 0 {host}\n\
             fstab ---644 0 0 {fstab}\nos-release ---644 0 0 {release}\nname l--777 0 0 /etc/hostname\n$\n$\n",
            elf = at("elf"),
            release = at("release"),
            big = at("big"),
            secret = at("secret"),
            host = at("hostname"),
            fstab = at("fstab"),
        );
        fs::write(at("proto"), tree).expect("written");
        let part = |name: &str, mib: u64| {
            fs::File::create(at(name)).expect("made").set_len(mib << 20).expect("sized");
            at(name)
        };
        let (boot, root) = (part("boot.raw", ROOT.0 - 1), part("root.raw", ROOT.1));
        let (folder, proto) = (at("boot"), at("proto"));
        let mke2fs = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "boot", "-d", &folder, &boot];
        drop(run(&mke2fs).success());
        drop(run(&["mkfs.xfs", "-q", "-L", "root", "-p", &proto, &root]).success());
        let raw = part("xfs.raw", ROOT.0 + ROOT.1 + 1);
        let end = ROOT.0 * 2048 - 2048;
        let table = format!("label: gpt\nstart=2048, size={end}\nstart={}\n", ROOT.0 * 2048);
        fs::write(at("table"), table).expect("written");
        drop(run(&["sh", "-c", &format!("sfdisk -q '{raw}' < '{}'", at("table"))]).success());
        for (from, start) in [(&boot, 1), (&root, ROOT.0)] {
            let (from, to) = (format!("if={from}"), format!("of={raw}"));
            let seek = format!("seek={start}");
            let dd = ["dd", &from, &to, "bs=1M", &seek, "conv=notrunc,sparse", "status=none"];
            drop(run(&dd).success());
        }
        let disk = at("xfs.qcow2");
        drop(run(&["qemu-img", "convert", "-f", "raw", "-O", "qcow2", &raw, &disk]).success());
        Some(Self { lab, disk })
    }

    fn image(&self, verb: &str, args: &[&str]) -> Output {
        self.lab.kiln(&[&["image", verb, &self.disk, "--trust"], args].concat())
    }

    fn cat(&self, path: &str) -> String {
        self.image("cat", &[path]).success().stdout
    }

    /// Other people's tools find the file systems in order.
    fn check(&self) {
        let raw = self.lab.path("checked.raw");
        drop(run(&["qemu-img", "convert", "-f", "qcow2", "-O", "raw", &self.disk, &raw]).success());
        let root = self.lab.path("checked.xfs");
        let (from, to) = (format!("if={raw}"), format!("of={root}"));
        let (skip, count) = (format!("skip={}", ROOT.0), format!("count={}", ROOT.1));
        let dd = ["dd", &from, &to, "bs=1M", &skip, &count, "conv=sparse", "status=none"];
        drop(run(&dd).success());
        drop(run(&["xfs_repair", "-n", "-f", &root]).success());
        let boot = run(&["e2fsck", "-fn", &format!("{raw}?offset=1048576")]);
        assert_eq!(boot.code, 0, "{}", boot.stdout);
        drop(run(&["qemu-img", "check", &self.disk]).success());
    }

    /// Returns the loop devices that show this lab's disk.
    fn loops(&self) -> usize {
        let entries = fs::read_dir("/sys/block").expect("block devices");
        let files = entries.map(|entry| entry.expect("one").path().join("loop/backing_file"));
        let home = self.lab.path("home");
        files.filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains(&home))).count()
    }
}

/// Returns the host's mounts of loop devices: other tests mount other things meanwhile.
fn mounts() -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mounts").expect("mounts");
    all.lines().filter(|line| line.starts_with("/dev/loop")).map(str::to_owned).collect()
}

#[test]
fn the_kernel_holds_a_guest_where_nobody_sees_it() {
    let Some(xfs) = Xfs::new() else { return };
    let (before, bytes) = (mounts(), fs::read(&xfs.disk).expect("the disk"));
    let out = xfs.image("cat", &["-v", "/etc/name"]).success();
    assert_eq!(out.stdout, "old\n");
    assert!(out.stderr.contains("kernel: xfs on /dev/sda2"), "{}", out.stderr);
    assert_eq!(xfs.cat("/boot/kernel"), "x");
    // Links lead to places of the guest or to nothing, and what is no file is not opened.
    for path in ["/out", "/up", "/pipe", "/null"] {
        let out = xfs.image("cat", &[path]);
        assert!(out.code != 0 && !out.stdout.contains("host"), "{path}: {out:?}");
    }
    let made = ["--hostname=new", "--mkdir=/srv/made", "--chmod=0711:/srv/made"];
    let more = ["--write=/boot/grub.cfg:changed", "--link=/etc/hostname:/srv/made/link"];
    let edits = [&made[..], &more, &["--delete=/big", "--copy=/etc/fstab:/etc/mtab"]].concat();
    drop(xfs.image("customize", &[&edits[..], &["--dry-run"]].concat()).success());
    assert!(fs::read(&xfs.disk).expect("the disk") == bytes, "nothing is kept of a dry run");
    drop(xfs.image("customize", &edits).success());
    xfs.check();
    assert_eq!(xfs.cat("/srv/made/link"), "new\n");
    assert_eq!(xfs.cat("/boot/grub.cfg"), "changed");
    assert_eq!(xfs.image("cat", &["/big"]).code, 4);
    let list = xfs.image("ls", &["-l", "/srv"]).success().stdout;
    assert!(list.contains("drwx--x--x"), "{list}");
    let out = xfs.image("inspect", &["--json"]).success().stdout;
    assert!(out.contains("\"root\": \"sda2\"") || out.contains("\"root\":\"sda2\""), "{out}");
    let tar = xfs.lab.path("all.tar");
    drop(xfs.image("tar-out", &["/", "-o", &tar]).success());
    let names = run(&["tar", "-tvf", &tar]).success().stdout;
    assert!(names.contains("prw-r--r--") && names.contains("crw-rw-rw-"), "{names}");
    drop(xfs.image("tar-in", &["-C", "/srv", &tar]).success());
    xfs.check();
    assert_eq!(xfs.cat("/srv/srv/made/link"), "new\n");
    // What becomes an image of the store is looked at by what holds it.
    drop(xfs.image("customize", &["--hostname=stored", "-o", "fedora"]).success());
    let out = xfs.lab.kiln(&["image", "info", "fedora", "--json"]).success().stdout;
    let info: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let text = info.to_string();
    assert!(text.contains("Fedora Linux 41") && text.contains("arm64"), "{text}");
    assert_eq!((mounts(), xfs.loops()), (before, 0));
}

#[test]
fn nothing_is_left_of_a_kernels_mount_after_a_kill() {
    let Some(xfs) = Xfs::new() else { return };
    let before = fs::read(&xfs.disk).expect("the disk");
    #[expect(clippy::disallowed_methods, reason = "the program under test is killed")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(["image", "cat", &xfs.disk, "--trust", "/big"]);
    command.env("KILN_HOME", xfs.lab.path("home")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut kiln = command.spawn().expect("started");
    // It writes more than a pipe takes: with a first byte here it is in the middle.
    let mut first = [0];
    kiln.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("a byte");
    assert_eq!(xfs.loops(), 1);
    let mounted = mounts();
    let home = xfs.lab.path("home");
    assert!(!mounted.iter().any(|line| line.contains(&home)), "others see it: {mounted:?}");
    kiln.kill().expect("killed");
    kiln.wait().expect("ended");
    let since = Instant::now();
    while xfs.loops() > 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "the loop device is still there");
        std::thread::yield_now();
    }
    assert!(fs::read(&xfs.disk).expect("the disk") == before, "nothing changed");
    assert_eq!(xfs.cat("/etc/hostname"), "old\n");
    let left = fs::read_dir(xfs.lab.path("home/run")).expect("the folder");
    let left: Vec<_> = left.map(|entry| entry.expect("one").file_name()).collect();
    assert!(left.iter().all(|name| name == ".lock"), "{left:?}");
}

#[test]
fn only_root_may_trust() {
    let Some(lab) = Lab::debian() else { return };
    let root = run(&["id", "-u"]).success().stdout.trim() == "0";
    if root && !need_program("setpriv") {
        return;
    }
    let as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    drop(run(&["chmod", "-R", "a+rwX", &lab.path("")]).success());
    let words = ["image", "cat", &lab.disk(), "--trust", "/etc/hostname"];
    let kiln = [&[env!("CARGO_BIN_EXE_kiln")], &words[..]].concat();
    let all = if root { [&as_user[..], &kiln].concat() } else { kiln };
    let out = kiln_testkit::run_with(&all, &[("KILN_HOME", &lab.path("user"))]);
    assert_eq!(out.code, 5, "{out:?}");
    assert!(out.stderr.contains("only root may"), "{}", out.stderr);
}

/// The subvolume that is a system's root is found, its snapshot is none, and what it mounts is.
#[test]
fn subvolumes_of_btrfs_are_mounted_as_the_guest_mounts_them() {
    let programs = ["mkfs.btrfs", "btrfs", "unshare", "mount", "qemu-storage-daemon"];
    if !can_trust("btrfs") || !programs.into_iter().all(need_program) {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    let (disk, top) = (lab.path("btrfs.raw"), lab.path("top"));
    fs::File::create(&disk).expect("made").set_len(300 << 20).expect("sized");
    fs::create_dir(&top).expect("made");
    drop(run(&["mkfs.btrfs", "-q", "-L", "fbtrfs", &disk]).success());
    let script = format!(
        "set -e; mount -o loop '{disk}' '{top}'; cd '{top}'\n\
         for name in root home; do btrfs -q subvolume create $name; done\n\
         mkdir -p root/etc root/usr/bin root/home home/user; ln -s usr/bin root/bin\n\
         echo 'LABEL=fbtrfs / btrfs subvol=root 0 0' > root/etc/fstab\n\
         echo 'LABEL=fbtrfs /home btrfs subvol=/home 0 0' >> root/etc/fstab\n\
         echo old > root/etc/hostname; btrfs -q subvolume snapshot root before\n\
         btrfs -q subvolume create root/var; cd /; umount '{top}'\n"
    );
    fs::write(lab.path("script"), script).expect("written");
    // What it mounts is gone with it, whatever becomes of it.
    drop(run(&["unshare", "--mount", "sh", &lab.path("script")]).success());
    let kiln = |verb: &str, args: &[&str]| {
        lab.kiln(&[&["image", verb, &disk, "--trust"], args].concat()).success()
    };
    let out = kiln("ls", &["-v", "-R", "/home"]);
    assert_eq!(out.stdout, "/home/user\n");
    assert!(out.stderr.contains("kernel: btrfs on /dev/sda/root"), "{}", out.stderr);
    drop(kiln("customize", &["--hostname=new", "--mkdir=/home/user/x", "--write=/var/y:z"]));
    assert_eq!(kiln("cat", &["/etc/hostname", "/var/y"]).stdout, "new\nz");
    assert_eq!(kiln("ls", &["/home/user"]).stdout, "x\n");
    drop(run(&["btrfs", "check", &disk]).success());
}
