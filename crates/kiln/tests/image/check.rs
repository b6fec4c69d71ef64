// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image check`, on real images that were damaged by known means. What it says is what
//! `e2fsck`, `fsck.fat`, `qemu-img check` and `sgdisk -v` say, before and after.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kiln_host::image_lock::{self, Access, Locked};
use kiln_testkit::{Output, need_program, run};
use serde_json::{Value, json};

use crate::support::Lab;

/// Where the EFI system partition and the root begin, and how many sectors they have: [`Lab`].
const ESP: (u64, u64) = (2048, 16384);
const ROOT: (u64, u64) = (18432, 98304);

/// A raw disk of the lab, and a file system in it as a file of its own.
struct Disk {
    lab: Lab,
}

impl Disk {
    fn new() -> Option<Self> {
        if !["e2fsck", "fsck.fat", "sgdisk", "qemu-img"].into_iter().all(need_program) {
            return None;
        }
        let disk = Self { lab: Lab::debian()? };
        let raw = disk.raw();
        drop(run(&["qemu-img", "convert", "-O", "raw", &disk.lab.disk(), &raw]).success());
        Some(disk)
    }

    fn raw(&self) -> String {
        self.lab.path("disk.raw")
    }

    /// Makes the qcow2 disk of the raw one.
    fn pack(&self) {
        let args = ["convert", "-f", "raw", "-O", "qcow2", &self.raw(), &self.lab.disk()];
        drop(run(&[&["qemu-img"], &args[..]].concat()).success());
    }

    /// Makes the raw disk of the qcow2 one.
    fn unpack(&self) {
        let args = ["convert", "-f", "qcow2", "-O", "raw", &self.lab.disk(), &self.raw()];
        drop(run(&[&["qemu-img"], &args[..]].concat()).success());
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = File::options().write(true).open(self.raw()).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    /// Runs debugfs on the root, to change it.
    fn debugfs(&self, request: &str) {
        let place = format!("{}?offset={}", self.raw(), ROOT.0 * 512);
        drop(run(&["debugfs", "-w", "-R", request, &place]).success());
    }

    fn e2fsck(&self) -> i32 {
        run(&["e2fsck", "-fn", &format!("{}?offset={}", self.raw(), ROOT.0 * 512)]).code
    }

    fn fsck_fat(&self) -> i32 {
        let (esp, all) = (self.lab.path("esp.now"), fs::read(self.raw()).unwrap());
        let [from, to] = [ESP.0, ESP.0 + ESP.1].map(|s| usize::try_from(s * 512).unwrap());
        fs::write(&esp, &all[from..to]).unwrap();
        run(&["fsck.fat", "-n", &esp]).code
    }

    /// Returns whether `sgdisk -v` finds nothing, and repairs nothing in memory before it looks.
    fn sgdisk(&self) -> bool {
        let out = run(&["sgdisk", "-v", &self.raw()]).success();
        let said = out.stdout + &out.stderr;
        said.contains("No problems found") && !said.contains("invalid") && !said.contains("CRC")
    }

    /// Returns the verdict on the raw disk.
    fn check(&self, options: &[&str]) -> (i32, Value) {
        verdict(&self.lab, &self.raw(), options)
    }
}

/// Runs the verb with `--json`; the exit code and what it says.
fn verdict(lab: &Lab, image: &str, options: &[&str]) -> (i32, Value) {
    let out = lab.kiln(&[&["image", "check", image, "--json"], options].concat());
    let value = serde_json::from_str(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"));
    (out.code, value)
}

/// Returns the parts of a verdict with their states, in words.
fn states(value: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let parts = value["parts"].as_array().unwrap();
    parts.iter().map(|part| format!("{} {}", word(&part["name"]), word(&part["state"]))).collect()
}

fn content(lab: &Lab, image: &str) -> Output {
    lab.kiln(&["image", "cat", image, "/etc/hostname", "/boot/efi/grub.cfg"])
}

/// What is left beside the lab's own files.
fn leftovers(lab: &Lab) -> Vec<String> {
    let names = fs::read_dir(Path::new(&lab.disk()).parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_sound_image_is_clean() {
    let Some(disk) = Disk::new() else { return };
    let before = disk.lab.bytes();
    let out = disk.lab.image("check", &[]).success();
    let clean = "qcow2 file: clean\npartition table (gpt): clean\npartition 1 (vfat): clean\n\
                 partition 2 (ext4): clean\n";
    assert_eq!(out.stdout, clean);
    let (code, raw) = disk.check(&[]);
    assert_eq!((code, &raw["good"]), (0, &json!(true)));
    assert_eq!(states(&raw), ["gpt clean", "vfat clean", "ext4 clean"]);
    let out = disk.lab.image("check", &["--repair"]).success();
    assert_eq!(out.stdout, clean);
    assert!(out.stderr.contains("nothing to mend"), "{}", out.stderr);
    assert!(disk.lab.bytes() == before);
    assert!(disk.sgdisk() && disk.e2fsck() == 0 && disk.fsck_fat() == 0);
}

#[test]
fn a_damaged_ext4_is_found_and_mended() {
    let Some(disk) = Disk::new() else { return };
    // A file loses its inode.
    disk.debugfs("clri /etc/hostname");
    assert_ne!(disk.e2fsck(), 0);
    disk.pack();
    let before = disk.lab.bytes();
    let out = disk.lab.image("check", &[]);
    assert_eq!(out.code, 1, "{out:?}");
    assert!(out.stdout.contains("partition 2 (ext4): damaged\n  it is damaged\n  | "), "{out:?}");
    assert!(out.stderr.contains("`--repair` mends it"), "{}", out.stderr);
    let (code, value) = verdict(&disk.lab, &disk.lab.disk(), &["--repair", "--dry-run"]);
    assert_eq!((code, &value["changed"]), (0, &json!(false)));
    assert_eq!(states(&value)[3], "ext4 mended");
    assert!(disk.lab.bytes() == before);

    let (code, value) = verdict(&disk.lab, &disk.lab.disk(), &["--repair"]);
    assert_eq!((code, &value["changed"]), (0, &json!(true)), "{value}");
    assert_eq!(states(&value), ["qcow2 clean", "gpt clean", "vfat clean", "ext4 mended"]);
    drop(run(&["qemu-img", "check", &disk.lab.disk()]).success());
    drop(disk.lab.image("check", &[]).success());
    disk.unpack();
    assert_eq!((disk.e2fsck(), disk.fsck_fat(), disk.sgdisk()), (0, 0, true));
    assert_eq!(leftovers(&disk.lab), [""; 0]);
}

#[test]
fn damaged_group_descriptors_are_found_and_mended() {
    let Some(disk) = Disk::new() else { return };
    let before = content(&disk.lab, &disk.raw()).success().stdout;
    let noise: Vec<u8> = (0..1024_u32).map(|n| (n * 167 % 251).to_le_bytes()[0]).collect();
    disk.write(ROOT.0 * 512 + 2048, &noise);
    assert_ne!(disk.e2fsck(), 0);
    let (code, value) = disk.check(&[]);
    assert_eq!((code, states(&value)[2].as_str()), (1, "ext4 damaged"), "{value}");
    let out = disk.lab.kiln(&["image", "ls", &disk.raw(), "/"]);
    assert_eq!(out.code, 3, "{out:?}");
    let hint = "hint: `kiln image check` tells whether the file systems are in order\n";
    assert!(out.stderr.ends_with(hint), "{}", out.stderr);
    let (code, value) = disk.check(&["--repair"]);
    assert_eq!((code, states(&value)[2].as_str()), (0, "ext4 mended"), "{value}");
    assert_eq!((disk.e2fsck(), disk.fsck_fat(), disk.sgdisk()), (0, 0, true));
    assert_eq!(content(&disk.lab, &disk.raw()).success().stdout, before);
}

#[test]
fn a_damaged_fat_is_found_and_mended() {
    let Some(disk) = Disk::new() else { return };
    // The first table forgets some clusters: the second one knows them.
    let boot = {
        let mut boot = [0; 512];
        File::open(disk.raw()).unwrap().read_exact_at(&mut boot, ESP.0 * 512).unwrap();
        boot
    };
    let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
    disk.write((ESP.0 + reserved) * 512 + 3, &[0; 12]);
    assert_eq!(disk.fsck_fat(), 1);
    let (code, value) = disk.check(&[]);
    assert_eq!((code, states(&value)[1].as_str()), (1, "vfat damaged"), "{value}");
    let (code, value) = disk.check(&["--repair"]);
    assert_eq!((code, states(&value)[1].as_str()), (0, "vfat mended"), "{value}");
    assert_eq!((disk.fsck_fat(), disk.e2fsck(), disk.sgdisk()), (0, 0, true));
    assert_eq!(disk.check(&[]).0, 0);
    assert_eq!(leftovers(&disk.lab), [""; 0]);
}

#[test]
fn each_copy_of_a_gpt_is_mended_from_the_other() {
    let Some(disk) = Disk::new() else { return };
    let sound = fs::read(disk.raw()).unwrap();
    let size = u64::try_from(sound.len()).unwrap();
    for (at, words) in [
        (512 + 16, "the checksum of its header"), // the first header
        (1024 + 40, "the checksum of its entries"), // the first entries
        (size - 512 + 16, "the checksum of its header"),
        (size - 33 * 512 + 40, "the checksum of its entries"),
    ] {
        disk.write(at, &[0xa5; 4]);
        assert!(!disk.sgdisk(), "{at}");
        let (code, value) = disk.check(&[]);
        assert_eq!((code, states(&value)[0].as_str()), (1, "gpt damaged"), "{at}: {value}");
        let finding = value["parts"][0]["findings"][0].as_str().unwrap();
        assert!(finding.contains(words), "{at}: {finding}");
        let (code, value) = disk.check(&["--repair"]);
        assert_eq!((code, states(&value)[0].as_str()), (0, "gpt mended"), "{at}: {value}");
        assert!(disk.sgdisk(), "{at}");
        assert!(fs::read(disk.raw()).unwrap() == sound, "{at}: as it was before the damage");
    }
    // The protective MBR is gone, with its signature.
    disk.write(446, &[0; 66]);
    let (code, value) = disk.check(&["--repair"]);
    assert_eq!((code, states(&value)[0].as_str()), (0, "gpt mended"), "{value}");
    assert!(disk.sgdisk());
    // The disk has grown.
    File::options().write(true).open(disk.raw()).unwrap().set_len(size + (8 << 20)).unwrap();
    assert!(!disk.sgdisk());
    let (code, value) = disk.check(&["--repair"]);
    assert_eq!((code, states(&value)[0].as_str()), (0, "gpt mended"), "{value}");
    assert!(disk.sgdisk());
    assert_eq!(leftovers(&disk.lab), [""; 0]);
}

#[test]
fn all_is_mended_or_nothing() {
    let Some(disk) = Disk::new() else { return };
    // Both headers are gone: nothing says where the partitions were.
    let size = fs::metadata(disk.raw()).unwrap().len();
    disk.write(512 + 16, &[0xa5; 4]);
    disk.write(size - 512 + 16, &[0xa5; 4]);
    let before = fs::read(disk.raw()).unwrap();
    let (code, value) = disk.check(&["--repair"]);
    assert_eq!((code, states(&value)[0].as_str()), (1, "unknown unmendable"), "{value}");
    assert!(fs::read(disk.raw()).unwrap() == before);

    // Partitions of an MBR that overlap, and a file system that could be mended.
    let table = "label: dos\nstart=2048, size=16384, type=ef\nstart=18432, size=98304, type=83\n";
    fs::write(disk.lab.path("mbr"), table).unwrap();
    let sfdisk = format!("sfdisk -q --wipe never '{}' < '{}'", disk.raw(), disk.lab.path("mbr"));
    drop(run(&["sh", "-c", &sfdisk]).success());
    disk.write(510 - 64 + 12, &20_000_u32.to_le_bytes());
    disk.debugfs("clri /etc/hostname");
    let before = fs::read(disk.raw()).unwrap();
    let out = disk.lab.kiln(&["image", "check", "--repair", &disk.raw()]);
    assert_eq!(out.code, 1, "{out:?}");
    assert!(out.stdout.contains("partition table (dos): damaged, and cannot be mended\n"));
    assert!(out.stdout.contains("partition 2 (ext4): damaged\n"), "{}", out.stdout);
    assert!(out.stderr.contains("nothing was changed"), "{}", out.stderr);
    assert!(fs::read(disk.raw()).unwrap() == before);
    assert_ne!(run(&["sfdisk", "--verify", &disk.raw()]).stdout, "No errors detected.\n");
    assert_eq!(leftovers(&disk.lab), [""; 0]);
}

/// Reads a big-endian number of a qcow2 file.
fn number(file: &File, at: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, at).unwrap();
    u64::from_be_bytes(bytes)
}

#[test]
fn tables_of_a_qcow2_file_are_mended_in_a_copy() {
    let Some(disk) = Disk::new() else { return };
    let image = disk.lab.disk();
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let expected = content(&disk.lab, &image).success();
    // qcow2.txt: the L1 table is at byte 40 of the header, the reference counts' at byte 48.
    let counts = number(&file, number(&file, 48));
    let end = file.metadata().unwrap().len();
    // A cluster that nothing uses is counted, and one that is used is not.
    file.set_len(end + 65536).unwrap();
    file.write_all_at(&[0, 1], counts + end.div_ceil(65536) * 2).unwrap();
    let out = run(&["qemu-img", "check", &image]);
    assert_eq!(out.code, 3, "{out:?}");
    let (code, value) = verdict(&disk.lab, &image, &[]);
    assert_eq!((code, states(&value)[0].as_str()), (1, "qcow2 damaged"), "{value}");
    let leak = json!(["1 cluster that nothing uses is not free"]);
    assert_eq!(value["parts"][0]["findings"], leak);
    let table = number(&file, number(&file, 40)) & 0x00ff_ffff_ffff_fe00;
    file.write_all_at(&[0, 0], counts + table / 65536 * 2).unwrap();
    assert_eq!(run(&["qemu-img", "check", &image]).code, 2);
    drop(file);
    fs::set_permissions(&image, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();

    let before = disk.lab.bytes();
    let (code, value) = verdict(&disk.lab, &image, &["--repair", "--dry-run"]);
    assert_eq!((code, states(&value)[0].as_str()), (0, "qcow2 mended"), "{value}");
    assert!(disk.lab.bytes() == before);
    let held = File::options().read(true).write(true).open(&image).unwrap();
    let Locked::Yes(lock) = image_lock::lock(&held, Access::Write).unwrap() else { panic!() };
    let out = disk.lab.image("check", &["--repair"]);
    assert_eq!(out.code, 4, "{out:?}");
    drop(lock);
    let (code, value) = verdict(&disk.lab, &image, &["--repair"]);
    assert_eq!((code, &value["changed"]), (0, &json!(true)), "{value}");
    drop(run(&["qemu-img", "check", &image]).success());
    assert_eq!(content(&disk.lab, &image).success().stdout, expected.stdout);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&image).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(leftovers(&disk.lab), [""; 0]);
}

#[test]
fn a_damaged_format_and_file_system_are_mended_together() {
    let Some(disk) = Disk::new() else { return };
    disk.debugfs("clri /etc/hostname");
    disk.pack();
    let image = disk.lab.disk();
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let counts = number(&file, number(&file, 48));
    let table = number(&file, number(&file, 40)) & 0x00ff_ffff_ffff_fe00;
    file.write_all_at(&[0, 0], counts + table / 65536 * 2).unwrap();
    drop(file);
    let (code, value) = verdict(&disk.lab, &image, &["--repair"]);
    assert_eq!(code, 0, "{value}");
    assert_eq!(states(&value), ["qcow2 mended", "gpt clean", "vfat clean", "ext4 mended"]);
    drop(run(&["qemu-img", "check", &image]).success());
    disk.unpack();
    assert_eq!(disk.e2fsck(), 0);
}

#[test]
fn what_cannot_be_checked_is_said_and_errors_are_none_of_the_image() {
    let Some(disk) = Disk::new() else { return };
    let overlay = disk.lab.path("overlay.qcow2");
    let args = ["create", "-q", "-f", "qcow2", "-b", &disk.lab.disk(), "-F", "qcow2", &overlay];
    drop(run(&[&["qemu-img"], &args[..]].concat()).success());
    let out = disk.lab.kiln(&["image", "check", &overlay]).success();
    assert!(out.stdout.starts_with("qcow2 file: clean\ndisk: not checked\n"), "{}", out.stdout);
    let out = disk.lab.kiln(&["image", "check", &overlay, "--follow-backing"]).success();
    assert!(out.stdout.ends_with("partition 2 (ext4): clean\n"), "{}", out.stdout);

    let xfs = disk.lab.path("xfs");
    if need_program("mkfs.xfs") {
        drop(run(&["truncate", "-s", "320M", &xfs]).success());
        drop(run(&["mkfs.xfs", "-q", &xfs]).success());
        let out = disk.lab.kiln(&["image", "check", &xfs]).success();
        let words = "whole disk (xfs): not checked\n  there is no check for it here\n";
        assert_eq!(out.stdout, words);
    }
    for (image, code) in [("no-such-image", 4), ("/etc/hostname", 3), ("/etc", 4)] {
        let out = disk.lab.kiln(&["image", "check", image]);
        assert_eq!(out.code, code, "{out:?}");
    }
    let held = File::options().read(true).write(true).open(disk.raw()).unwrap();
    let Locked::Yes(_lock) = image_lock::lock(&held, Access::Write).unwrap() else { panic!() };
    let out = disk.lab.kiln(&["image", "check", "--repair", &disk.raw()]);
    assert_eq!(out.code, 4, "{out:?}");
    let out = disk.lab.kiln(&["image", "check", &disk.raw()]).success();
    assert!(out.stderr.contains("it is in use by process"), "{}", out.stderr);
}

/// What is cut off is found in all formats: by `check` as a finding, by others as a file that is
/// wrong, in a line or two, without the words that QEMU was told.
#[test]
fn images_that_are_cut_off_are_told_alike() {
    let Some(disk) = Disk::new() else { return };
    for (format, keep) in [
        ("raw", 40 << 20),
        ("raw", 3000),
        ("qcow2", 3000),
        ("vmdk", 3000),
        ("vdi", 3000),
        ("vdi", 4 << 20),
        ("vpc", 2 << 20),
        ("vhdx", 9 << 20),
    ] {
        let path = disk.lab.path(&format!("cut.{format}"));
        let args = ["convert", "-f", "raw", "-O", format, &disk.raw(), &path];
        drop(run(&[&["qemu-img"], &args[..]].concat()).success());
        File::options().write(true).open(&path).unwrap().set_len(keep).unwrap();
        let out = disk.lab.kiln(&["image", "check", &path]);
        assert_eq!(out.code, 1, "{format}: {}{}", out.stdout, out.stderr);
        assert!(out.stdout.contains("damaged"), "{format}: {}", out.stdout);
        assert!(
            !out.stdout.contains("driver") && !out.stdout.contains('\u{fffd}'),
            "{}",
            out.stdout
        );
        let out = disk.lab.kiln(&["image", "cat", &path, "/etc/hostname"]);
        assert_eq!(out.code, 3, "{format}: {}", out.stderr);
        assert!(out.stderr.lines().count() <= 4, "{format}: {}", out.stderr);
        assert!(!out.stderr.contains("driver"), "{format}: {}", out.stderr);
    }
}

/// The partitions of a disk that is cut off are listed all the same.
#[test]
fn the_partitions_of_a_cut_disk_are_listed() {
    let Some(disk) = Disk::new() else { return };
    let raw = disk.raw();
    let table = format!(
        "printf 'label: dos\\nstart=2048,size=16384\\nstart={}\\n' | sfdisk -q {raw}",
        ROOT.0
    );
    drop(run(&["sh", "-c", &format!("wipefs -qa -t gpt {raw}; {table}")]).success());
    File::options().write(true).open(&raw).unwrap().set_len(40 << 20).unwrap();
    let out = disk.lab.kiln(&["image", "check", &raw]);
    assert_eq!(out.code, 1, "{}{}", out.stdout, out.stderr);
    assert!(out.stdout.contains("partition 1 (vfat): clean"), "{}", out.stdout);
    assert!(
        out.stdout.contains("partition 2 (ext4): damaged\n  it is cut off: "),
        "{}",
        out.stdout
    );
}

/// What is there of a file that is cut off is shown, with a warning; nothing is made of it.
#[test]
fn what_is_left_of_a_cut_image_is_shown_and_nothing_is_made_of_it() {
    let Some(disk) = Disk::new() else { return };
    let raw = disk.raw();
    // A file system at the front, and a partition of zeros that the file ends in.
    let table = format!(
        "wipefs -qa -t gpt {raw} && truncate -s 80M {raw} && \
         printf 'label: dos\nstart={},size=98304\nstart=131072\n' | sfdisk -q {raw}",
        ROOT.0
    );
    drop(run(&["sh", "-c", &table]).success());
    let qcow2 = disk.lab.path("whole.qcow2");
    drop(run(&["qemu-img", "convert", "-O", "qcow2", &raw, &qcow2]).success());
    drop(run(&["qemu-io", "-c", "write -P 7 65M 1M", &qcow2]).success());
    for (path, keep) in [(&raw, 70 << 20), (&qcow2, fs::metadata(&qcow2).unwrap().len() - 65536)] {
        let whole = disk.lab.kiln(&["image", "ls", path, "/etc"]).success();
        assert!(!whole.stderr.contains("cut off"), "{}", whole.stderr);
        File::options().write(true).open(path).unwrap().set_len(keep).unwrap();
        let before = fs::read(path).unwrap();
        for (verb, rest) in [("ls", "/etc"), ("cat", "/etc/hostname"), ("df", ""), ("inspect", "")]
        {
            let args: Vec<&str> =
                ["image", verb, path, rest].into_iter().filter(|arg| !arg.is_empty()).collect();
            let out = disk.lab.kiln(&args).success();
            let said = format!("warning: `{path}` is cut off: at least ");
            assert!(out.stderr.contains(&said), "{verb}: {}", out.stderr);
            assert!(verb != "ls" || out.stdout == whole.stdout, "{}", out.stdout);
        }
        let copy = disk.lab.path("copy.qcow2");
        for args in [
            ["customize", path, "--hostname", "new"],
            ["customize", path, "--hostname=new", "--dry-run"],
            ["customize", path, "--hostname=new", &format!("-o{copy}")],
            ["customize", path, "--hostname=new", "-ostored"],
            ["convert", path, &copy, "--force"],
        ] {
            let out = disk.lab.kiln(&[&["image"], &args[..]].concat());
            assert_eq!(out.code, 3, "{args:?}: {}", out.stderr);
            let said = format!("`{path}` is cut off: at least ");
            assert!(out.stderr.contains(&said), "{args:?}: {}", out.stderr);
            assert!(out.stderr.contains("hint: copy or download it again"), "{}", out.stderr);
        }
        assert!(fs::read(path).unwrap() == before && fs::metadata(&copy).is_err());
    }
}

/// A download that broke off behind the last partition, in the middle of a sector: with it the table's
/// copy is missing. Then in the middle of the last partition.
#[test]
fn what_is_left_of_a_cut_gpt_disk_is_shown() {
    let Some(disk) = Disk::new() else { return };
    let raw = disk.raw();
    let whole = disk.lab.kiln(&["image", "ls", &raw, "/etc"]).success();
    File::options().write(true).open(&raw).unwrap().set_len((60 << 20) + 100).unwrap();
    let before = fs::read(&raw).unwrap();
    for args in [
        &["ls", &raw, "/etc"][..],
        &["cat", &raw, "/etc/hostname"],
        &["df", &raw],
        &["inspect", &raw],
    ] {
        let out = disk.lab.kiln(&[&["image"], args].concat()).success();
        assert!(out.stderr.contains("is cut off: at least "), "{args:?}: {}", out.stderr);
        assert!(args[0] != "ls" || out.stdout == whole.stdout, "{}", out.stdout);
    }
    let check = disk.lab.kiln(&["image", "check", &raw]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("the disk ends before it"), "{}", check.stdout);
    for verb in [["customize", "--hostname=new"], ["resize", "128M"]] {
        let out = disk.lab.kiln(&["image", verb[0], &raw, verb[1]]);
        assert_eq!(out.code, 3, "{verb:?}: {}", out.stderr);
        assert!(out.stderr.contains("is cut off: at least "), "{verb:?}: {}", out.stderr);
    }
    assert!(fs::read(&raw).unwrap() == before);

    File::options().write(true).open(&raw).unwrap().set_len((40 << 20) + 100).unwrap();
    let esp = disk.lab.kiln(&["image", "ls", &raw, "/", "--root", "sda1"]).success();
    assert!(esp.stdout.contains("GRUB.CFG"), "{}", esp.stdout);
    let root = disk.lab.kiln(&["image", "ls", &raw, "/etc"]);
    assert_eq!(root.code, 3, "{}", root.stderr);
    assert!(root.stderr.contains("it is longer than what holds it"), "{}", root.stderr);
}
