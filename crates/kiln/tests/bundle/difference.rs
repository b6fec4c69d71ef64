// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tree of a disk is that of its archive: kind, permissions, owners, times, extended
//! attributes, access control lists, contents and hard links of every name. Judges are Python's
//! tarfile, which reads the archive, and debugfs, which reads the disk.

use std::fs;

use kiln_testkit::{need_program, run};

use crate::support::{Lab, root_of};

const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bundle/difference.py");

/// What makes it boot, and nothing else.
const EXPECTED: &[&str] = &[
    "+ '/boot/efi'",
    "+ '/boot/grub'",
    "+ '/boot/grub/grub.cfg'",
    "+ '/etc/default'",
    "+ '/etc/default/grub.d'",
    "+ '/etc/default/grub.d/50-kiln.cfg'",
    "+ '/etc/fstab'",
    "+ '/lost+found'",
];

#[test]
fn a_disk_has_every_name_of_its_archive_as_it_was() {
    let Some(lab) = Lab::new() else { return };
    if !need_program("python3") {
        return;
    }
    let (tar, raw, folder) = (lab.path("all.tar"), lab.path("d.raw"), lab.path("read"));
    let _ = run(&["python3", JUDGE, "make", &lab.path("tree/"), &tar]).success();
    let _ = run(&["zstd", "-q", &tar]).success();
    let options = ["--keep-identity", "--size", "300MiB"];
    let archive = format!("{tar}.zst");
    let _ = lab.bundle(&[&["assemble", &archive, "-o", &raw], &options[..]].concat()).success();
    let offset = root_of(&raw).to_string();
    let checked = run(&["e2fsck", "-fn", &format!("{raw}?offset={offset}")]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    fs::create_dir(&folder).unwrap();
    let told = run(&["python3", JUDGE, "compare", &tar, &raw, &offset, &folder]).success().stdout;
    let (differing, same): (Vec<&str>, Vec<&str>) = told.lines().partition(|l| !l.starts_with('='));
    assert_eq!(differing, EXPECTED);
    // It has read them at all.
    let names: u32 = same.concat().trim_start_matches("= ").parse().unwrap();
    assert!(names > 650, "{told}");
}
