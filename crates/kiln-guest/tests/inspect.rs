// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A glance into images that mke2fs, sfdisk and qemu-img made.

use std::fs::{self, File};
use std::path::Path;

use kiln_disk::device::RawFile;
use kiln_disk::format::qcow2::Qcow2File;
use kiln_guest::inspect::{Glance, Processor, glance};
use kiln_spec::arch::Arch;
use kiln_testkit::{need_program, run};

/// Makes a tree with a program of the processor `machine` behind links, and an ext4 of it.
#[expect(clippy::unwrap_used, reason = "a test's own set-up")]
fn file_system(folder: &Path, machine: u8) -> String {
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("etc")).unwrap();
    let mut elf = vec![0; 4096];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = machine;
    fs::write(tree.join("usr/bin/dash"), elf).unwrap();
    std::os::unix::fs::symlink("usr/bin", tree.join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/dash", tree.join("usr/bin/sh")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
    let image = folder.join("fs.raw").display().to_string();
    let tree = tree.display().to_string();
    drop(run(&["mke2fs", "-q", "-F", "-t", "ext4", "-d", &tree, &image, "16M"]).success());
    image
}

fn seen(path: &str) -> Glance {
    glance(|| RawFile::new(File::open(path).ok()?).ok())
}

#[test]
fn processor_and_system_are_seen_on_a_whole_disk_and_in_a_partition() {
    if !["mke2fs", "sfdisk", "qemu-img", "dd"].iter().all(|program| need_program(program)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fs = file_system(folder.path(), 183);
    let glance_of_fs = seen(&fs);
    assert_eq!(glance_of_fs.processor, Some(Processor::Known(Arch::Arm64)));
    assert_eq!(glance_of_fs.os.as_ref().map(|os| os.id.as_str()), Some("debian"));
    for label in ["gpt", "dos"] {
        let disk = folder.path().join(format!("{label}.raw")).display().to_string();
        let script = format!(
            "truncate -s 40M {disk} && printf 'label: {label}\\nstart=2048,size=2048\\nstart=8192,size=32768\\n' \
             | sfdisk -q {disk} && dd if={fs} of={disk} bs=512 seek=8192 conv=notrunc status=none"
        );
        drop(run(&["sh", "-c", &script]).success());
        assert_eq!(seen(&disk), glance_of_fs, "{label}");
        let qcow2 = folder.path().join(format!("{label}.qcow2")).display().to_string();
        drop(run(&["qemu-img", "convert", "-c", "-O", "qcow2", &disk, &qcow2]).success());
        let in_qcow2 = glance(|| Qcow2File::open(File::open(&qcow2).ok()?, &qcow2).ok());
        assert_eq!(in_qcow2, glance_of_fs, "{label} in qcow2");
    }
}

#[test]
fn what_cannot_be_seen_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise").display().to_string();
    let noise: Vec<u8> =
        (0..1_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    fs::write(&path, noise).unwrap();
    assert_eq!(seen(&path), Glance::default());
    // A table whose entries lead outside of the disk.
    let mut table = vec![0; 1 << 20];
    table[510..512].copy_from_slice(&[0x55, 0xaa]);
    table[446..462].copy_from_slice(&[0xff; 16]);
    fs::write(&path, &table).unwrap();
    assert_eq!(seen(&path), Glance::default());
}
