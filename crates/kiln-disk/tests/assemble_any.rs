// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Trees of machines, as a bundle has them, to disks of every shape: read by sfdisk, qemu-img,
//! e2fsck, blkid, debugfs and mtools.
//!
//! The kernel and the signed loaders in the trees are not real: nothing here is booted.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use kiln_disk::assemble::{AssembleError, Assembled, Layout, NewTable, OutputFormat, assemble};
use kiln_disk::decompress::Decompressed;
use kiln_host::RealHost;
use kiln_spec::Bytes;
use kiln_spec::image::Firmware;
use kiln_testkit::{need_program, run};

const TIME: u64 = 1_700_000_000;

struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    /// A tree as Fedora's packages make it, with a boot entry and loaders in `/boot/efi`.
    fn of_rpms() -> Self {
        let tree = Self { folder: tempfile::tempdir().expect("a folder") };
        tree.file("usr/bin/sh", &fs::read("/bin/sh").expect("this machine's shell"));
        symlink("usr/bin", tree.path("bin")).expect("a link");
        tree.file("etc/os-release", b"ID=fedora\nVERSION_ID=42\nPRETTY_NAME=\"Fedora 42\"\n");
        tree.file("boot/vmlinuz-6.14.0-63.fc42.x86_64", b"kernel");
        tree.file("boot/initramfs-6.14.0-63.fc42.x86_64.img", b"initrd");
        tree.file(
            "boot/loader/entries/1234-6.14.0.conf",
            b"title Fedora\nlinux /vmlinuz-6.14.0\noptions root=UUID=old ro quiet\n",
        );
        tree.file("boot/grub2/grubenv", b"# GRUB Environment Block\n");
        tree.file("etc/kernel/cmdline", b"root=UUID=old ro\n");
        for (name, bytes) in [("shimx64.efi", "shim"), ("grubx64.efi", "grub"), ("x.csv", "csv")] {
            tree.file(&format!("boot/efi/EFI/fedora/{name}"), bytes.as_bytes());
        }
        tree.file("boot/efi/EFI/BOOT/BOOTX64.EFI", b"old shim");
        tree.file("etc/fstab", b"UUID=old / xfs defaults 0 0\nnas:/x /x nfs _netdev 0 0\nUUID=h /home xfs defaults 0 0\n");
        tree.file("etc/hosts", b"127.0.0.1 localhost\n127.0.1.1 old\n");
        tree.file("etc/ssh/ssh_host_rsa_key", b"secret");
        tree.file("etc/ssh/sshd_config", b"# sshd\n");
        tree.file("etc/udev/rules.d/70-persistent-net.rules", b"eth0");
        tree.file(
            "etc/sysconfig/network-scripts/ifcfg-eth0",
            b"DEVICE=eth0\nHWADDR=52:54:00:01:02:03\nBOOTPROTO=dhcp\n",
        );
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

    fn tar(&self, options: &[&str]) -> PathBuf {
        let to = self.folder.path().join("t.tar");
        let tree = self.path("");
        let mut argv = vec!["tar", "--numeric-owner"];
        argv.extend(["-C", tree.to_str().expect("text"), "-cf", to.to_str().expect("text")]);
        argv.extend(options);
        argv.push(".");
        let _ = run(&argv).success();
        to
    }

    fn layout(&self, name: &str) -> Layout {
        let new = Layout::new(self.folder.path().join(name), Bytes::from_mib(300), [5; 16], TIME);
        Layout { arch: None, any_firmware: true, ..new }
    }
}

fn made(layout: &Layout, tar: &Path) -> Result<Assembled, AssembleError> {
    let mut stream = Decompressed::new(File::open(tar).expect("the archive")).expect("a stream");
    assemble(layout, &mut stream, &RealHost, &mut |_| ())
}

fn tools() -> bool {
    let all = ["tar", "mke2fs", "e2fsck", "debugfs", "sfdisk", "qemu-img", "blkid", "mtype"];
    all.into_iter().all(need_program)
}

/// Returns what debugfs reads of a file of the root partition at `start`.
fn cat(disk: &Path, start: u64, path: &str) -> String {
    let image = format!("{}?offset={start}", disk.display());
    run(&["debugfs", "-R", &format!("cat {path}"), &image]).success().stdout
}

/// Returns where the partition of this type begins, in bytes, as sfdisk reads the table.
fn start_of(disk: &Path, kind: &str) -> u64 {
    let dump = run(&["sfdisk", "-d", disk.to_str().expect("text")]).success().stdout;
    let line = dump.lines().find(|line| line.to_lowercase().contains(&format!("type={kind}")));
    let line = line.unwrap_or_else(|| panic!("no partition of type {kind}: {dump}"));
    let start = line.split("start=").nth(1).expect("a start").split(',').next().expect("a number");
    start.trim().parse::<u64>().expect("a number") * 512
}

fn check(disk: &Path, root: u64) {
    let path = disk.to_str().expect("text");
    let verified = run(&["sfdisk", "--verify", path]).success().stdout;
    assert!(verified.contains("No errors detected"), "{verified}");
    let checked = run(&["e2fsck", "-fn", &format!("{path}?offset={root}")]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
}

const ROOT_GPT: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
const SWAP_GPT: &str = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f";
const ESP_GPT: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

#[test]
fn a_tree_of_rpms_gets_its_own_loaders_and_names() {
    if !tools() {
        return;
    }
    let tree = Tree::of_rpms();
    let hostname = Some("web1".to_owned());
    let layout = Layout { hostname, swap: Some(Bytes::from_mib(20)), ..tree.layout("d.raw") };
    let got = made(&layout, &tree.tar(&[])).unwrap();
    let disk = &layout.output;
    let root = start_of(disk, ROOT_GPT);
    check(disk, root);
    assert_eq!((got.firmware, got.secure_boot), (vec![Firmware::Uefi], true));
    assert_eq!(got.mounts_left_out, ["UUID=h /home xfs defaults 0 0"]);
    let swap = start_of(disk, SWAP_GPT);
    let blkid = ["blkid", "-p", "-s", "TYPE", "-s", "UUID", "-O", &swap.to_string()];
    let blkid = run(&[&blkid[..], &[disk.to_str().unwrap()]].concat()).success().stdout;
    assert!(blkid.contains("TYPE=\"swap\""), "{blkid}");

    let read = |path: &str| cat(disk, root, path);
    let fstab = read("/etc/fstab");
    assert!(fstab.contains(&format!("UUID={} / ext4", got.root_uuid)), "{fstab}");
    assert!(fstab.contains("none swap sw") && fstab.contains("nas:/x /x nfs"), "{fstab}");
    let uuid = fstab.lines().find(|l| l.contains("swap")).unwrap().split(' ').next().unwrap();
    assert!(blkid.contains(&uuid.replace('=', "=\"")), "{uuid} {blkid}");
    assert_eq!(read("/etc/hostname"), "web1\n");
    assert_eq!(read("/etc/hosts"), "127.0.0.1 localhost\n127.0.1.1\tweb1\n");
    let options = format!("root=UUID={} ro console=tty0 console=ttyS0,115200n8\n", got.root_uuid);
    let entry = read("/boot/loader/entries/1234-6.14.0.conf");
    assert_eq!(entry, format!("title Fedora\nlinux /vmlinuz-6.14.0\noptions {options}"));
    assert_eq!(read("/etc/kernel/cmdline"), options);
    let menu = read("/boot/grub2/grub.cfg");
    assert!(menu.contains("initrd /boot/initramfs-6.14.0-63.fc42.x86_64.img"), "{menu}");
    // Identity, and what is the partition's.
    assert_eq!(read("/etc/sysconfig/network-scripts/ifcfg-eth0"), "DEVICE=eth0\nBOOTPROTO=dhcp\n");
    assert_eq!(read("/etc/ssh/sshd_config"), "# sshd\n");
    let image = format!("{}?offset={root}", disk.display());
    for gone in
        ["/etc/ssh/ssh_host_rsa_key", "/boot/efi/EFI", "/etc/udev/rules.d/70-persistent-net.rules"]
    {
        let stat = run(&["debugfs", "-R", &format!("stat {gone}"), &image]);
        assert!(stat.stderr.contains("File not found"), "{gone}: {}", stat.stderr);
    }
    let esp = format!("{}@@{}", disk.display(), start_of(disk, ESP_GPT));
    let of_esp = |path: &str| run(&["mtype", "-i", &esp, path]).success().stdout;
    assert_eq!(of_esp("::EFI/BOOT/BOOTX64.EFI"), "shim");
    assert_eq!(of_esp("::EFI/fedora/x.csv"), "csv");
    let own = of_esp("::EFI/fedora/grub.cfg");
    assert!(own.contains("set prefix=($root)/boot/grub2\nconfigfile $prefix/grub.cfg"), "{own}");

    let kept = Layout { keep_identity: true, ..tree.layout("kept.raw") };
    made(&kept, &tree.tar(&[])).unwrap();
    let root = start_of(&kept.output, ROOT_GPT);
    assert_eq!(cat(&kept.output, root, "/etc/ssh/ssh_host_rsa_key"), "secret");
}

#[test]
fn qcow2_and_raw_are_the_same_disk_from_every_packing() {
    if !tools() || !["gzip", "xz", "zstd"].into_iter().all(need_program) {
        return;
    }
    let tree = Tree::of_rpms();
    tree.file(
        "noise",
        &(0..300_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect::<Vec<_>>(),
    );
    let raw = tree.layout("d.raw");
    made(&raw, &tree.tar(&[])).unwrap();
    let mut last = None;
    for packing in ["--gzip", "--xz", "--zstd"] {
        let name = format!("d{packing}.qcow2");
        let layout = Layout { format: OutputFormat::Qcow2, durable: true, ..tree.layout(&name) };
        made(&layout, &tree.tar(&[packing])).unwrap();
        let path = layout.output.to_str().unwrap();
        let checked = run(&["qemu-img", "check", path]).success().stdout;
        assert!(checked.contains("No errors were found"), "{checked}");
        let same = run(&["qemu-img", "compare", path, raw.output.to_str().unwrap()]);
        assert_eq!(same.code, 0, "{}{}", same.stdout, same.stderr);
        let bytes = fs::read(&layout.output).unwrap();
        assert!(bytes.len() < 20 << 20, "{}", bytes.len());
        assert!(last.is_none_or(|last| last == bytes), "the same stream gives the same bytes");
        last = Some(bytes);
    }
}

#[test]
fn an_old_table_boots_by_bios_from_the_gap() {
    let folder = Path::new("/usr/lib/grub/i386-pc");
    let there = kiln_testkit::need(folder.join("moddep.lst").is_file(), "the package grub-pc-bin");
    if !tools() || !there || !need_program("grub-mkimage") {
        return;
    }
    let tree = Tree::of_rpms();
    fs::remove_dir_all(tree.path("boot/efi")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_file() {
            // openSUSE's place.
            let to = format!("usr/share/grub2/i386-pc/{name}");
            tree.file(&to, &fs::read(entry.path()).unwrap());
        }
    }
    let layout = Layout {
        table: NewTable::Mbr,
        firmware: vec![Firmware::Bios],
        swap: Some(Bytes::from_mib(10)),
        ..tree.layout("d.raw")
    };
    let got = made(&layout, &tree.tar(&[])).unwrap();
    let root = start_of(&layout.output, "83");
    assert_eq!(root, 11 << 20);
    check(&layout.output, root);
    assert_eq!(got.firmware, [Firmware::Bios]);
    let dump = run(&["sfdisk", "-d", layout.output.to_str().unwrap()]).success().stdout;
    assert!(dump.contains("bootable") && dump.contains(&format!("0x{}", got.disk_id)), "{dump}");
    let disk = fs::read(&layout.output).unwrap();
    assert_eq!(disk[0x5c..0x64], 1_u64.to_le_bytes());
    // The core's list of blocks: it goes on in the next sector.
    assert_eq!(disk[512 + 0x1f4..512 + 0x1fc], 2_u64.to_le_bytes());
    let image = format!("{}?offset={root}", layout.output.display());
    let listed = run(&["debugfs", "-R", "ls /boot/grub2/i386-pc", &image]).success().stdout;
    assert!(listed.contains("normal.mod"), "{listed}");
}

#[test]
fn holes_of_every_format_stay_holes() {
    if !tools() {
        return;
    }
    let tree = Tree::of_rpms();
    // As large as a lastlog: nobody reads 100 GiB of zeros for it.
    let sparse = File::create(tree.path("lastlog")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 100 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 30).unwrap();
    sparse.set_len((100 << 30) + 8192).unwrap();
    for format in ["--format=gnu", "--format=posix", "--sparse-version=0.1"] {
        let layout = tree.layout(&format!("d{format}.raw"));
        let options = ["--sparse", format];
        let all = if format.contains("version") {
            &["--sparse", "--format=posix", format][..]
        } else {
            &options
        };
        made(&layout, &tree.tar(all)).unwrap();
        let root = start_of(&layout.output, ROOT_GPT);
        check(&layout.output, root);
        let image = format!("{}?offset={root}", layout.output.display());
        let stat = run(&["debugfs", "-R", "stat /lastlog", &image]).success().stdout;
        assert!(stat.contains(&format!("Size: {}", (100_u64 << 30) + 8192)), "{stat}");
        assert!(stat.contains("Blockcount: 16"), "{stat}");
        assert!(fs::metadata(&layout.output).unwrap().blocks() * 512 < 20 << 20);
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_read() {
    if !tools() {
        return;
    }
    let tree = Tree::of_rpms();
    let tar = tree.tar(&[]);
    let bytes = fs::read(&tar).unwrap();
    let mut header = bytes[..512].to_vec();
    header[..100].fill(0);
    header[..4].copy_from_slice(b"bomb");
    header[156] = b'0';
    // Base 256: 2^62 bytes.
    header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    fs::write(&tar, header).unwrap();
    let layout = tree.layout("d.raw");
    let error = made(&layout, &tar).unwrap_err();
    assert!(matches!(error, AssembleError::TooLong { .. }), "{error}");
    assert!(!layout.output.exists());
}
