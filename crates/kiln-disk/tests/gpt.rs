// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partition tables as other programs read them: sgdisk, sfdisk.

use std::fs::File;

use kiln_disk::device::RawFile;
use kiln_disk::table::gpt::{BIOS_BOOT, ESP, PartitionSpec, ROOT_X86_64, plan};
use kiln_spec::Bytes;
use kiln_testkit::{need_program, run};
use uuid::Uuid;

fn part(name: &str, kind: Uuid, size: Option<Bytes>) -> PartitionSpec {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    PartitionSpec { name: name.to_owned(), kind, id, size }
}

#[test]
fn sgdisk_and_sfdisk_read_what_was_written() {
    if !need_program("sgdisk") || !need_program("sfdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.raw");
    // Not a whole number of MiB: the rest at the end stays free.
    let size = (300 << 20) + 512 * 7;
    let file = File::create_new(&path).unwrap();
    file.set_len(size).unwrap();
    let parts = [
        part("bios-boot", BIOS_BOOT, Some(Bytes::from_mib(1))),
        part("esp", ESP, Some(Bytes::from_mib(64))),
        part("root \u{fc}", ROOT_X86_64, None),
    ];
    let disk = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut device = RawFile::new(file).unwrap();
    plan(Bytes(size), disk, &parts).unwrap().write(&mut device).unwrap();

    let path = path.to_str().unwrap();
    let checked = run(&["sgdisk", "-v", path]).success();
    assert!(checked.stdout.contains("No problems found."), "{}", checked.stdout);
    assert_eq!(checked.stderr, "");
    let dump = run(&["sfdisk", "--dump", path]).success().stdout;
    let partitions: Vec<_> = dump
        .lines()
        .filter_map(|line| line.strip_prefix(path))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let line = |n: u32, start: u64, size: u64, part: &PartitionSpec| {
        let (kind, id) = (part.kind.to_string(), part.id.to_string());
        let (kind, id) = (kind.to_uppercase(), id.to_uppercase());
        let name = part.name.replace('\u{fc}', "\\xc3\\xbc");
        format!("{n} : start= {start}, size= {size}, type={kind}, uuid={id}, name=\"{name}\"")
    };
    let expected = [
        line(1, 2048, 2048, &parts[0]),
        line(2, 4096, 131_072, &parts[1]),
        line(3, 135_168, 477_184, &parts[2]),
    ];
    assert_eq!(partitions, expected);
    assert!(dump.contains("label-id: 01020304-0506-0708-090A-0B0C0D0E0F10"), "{dump}");
}

#[test]
fn the_copy_at_the_end_is_enough() {
    if !need_program("sgdisk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.raw");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(10 << 20).unwrap();
    let parts = [part("only", ESP, None)];
    let mut device = RawFile::new(file.try_clone().unwrap()).unwrap();
    plan(Bytes(10 << 20), Uuid::from_u128(5), &parts).unwrap().write(&mut device).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 16 << 10], 512).unwrap();
    let out = run(&["sgdisk", "-i", "1", path.to_str().unwrap()]);
    assert!(out.stdout.contains("Partition name: 'only'"), "{out:?}");
}
