// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is on a device, as `blkid` sees it on what each program made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kiln_disk::device::RawFile;
use kiln_disk::fs::{Content, ContentKind, identify};
use kiln_testkit::{need_program, run};

fn seen(path: &Path) -> Content {
    let file = File::open(path).expect("the image");
    identify(&mut RawFile::new(file).expect("the image")).expect("it can be read")
}

/// What `blkid` says: type, label and number.
fn blkid(path: &str) -> Option<(String, Option<String>, Option<String>)> {
    let out = run(&["blkid", "-p", "-o", "export", path]);
    let all: BTreeMap<&str, &str> =
        out.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    // What a shell would not read as it is has a backslash before it.
    let get = |name| all.get(name).map(|text: &&str| text.replace('\\', ""));
    Some((get("TYPE")?, get("LABEL"), get("UUID")))
}

/// Makes one with `maker` on a file of `mib` MiB, and compares what is seen of it.
#[track_caller]
fn compare(maker: &[&str], mib: u64) -> Option<Content> {
    if !need_program(maker[0]) || !need_program("blkid") {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image");
    File::create_new(&path).expect("a file").set_len(mib << 20).expect("room");
    let shown = path.to_str().expect("text");
    let argv: Vec<&str> =
        maker.iter().map(|arg| if *arg == "IMAGE" { shown } else { arg }).collect();
    drop(run(&argv).success());
    Some(compare_file(&path, maker))
}

#[track_caller]
fn compare_file(path: &Path, maker: &[&str]) -> Content {
    let content = seen(path);
    let (kind, label, uuid) = blkid(path.to_str().expect("text")).expect("blkid knows it");
    let mine = (content.kind.name().to_owned(), content.label.clone(), content.uuid.clone());
    assert_eq!(mine, (kind, label, uuid), "{maker:?}");
    content
}

#[test]
fn ext_file_systems() {
    for kind in ["ext2", "ext3", "ext4"] {
        let label = format!("{kind} root");
        let content = compare(&["mke2fs", "-q", "-F", "-t", kind, "-L", &label, "IMAGE"], 16);
        assert!(content.is_none_or(|content| content.kind.is_ext()));
    }
    compare(&["mke2fs", "-q", "-F", "-t", "ext4", "IMAGE"], 16);
    compare(&["mke2fs", "-q", "-F", "-b", "4096", "-O", "journal_dev", "IMAGE"], 16);
}

#[test]
fn fat_of_each_width() {
    for (bits, mib) in [("12", 4), ("16", 32), ("32", 64)] {
        let content =
            compare(&["mkfs.vfat", "-F", bits, "-n", "MY DISK", "-i", "1234abcd", "IMAGE"], mib);
        let Some(content) = content else { return };
        assert_eq!(content.kind, ContentKind::Vfat { bits: bits.parse().unwrap() });
        compare(&["mkfs.vfat", "-F", bits, "IMAGE"], mib);
    }
    compare(&["mkfs.vfat", "-F", "32", "-s", "1", "-S", "4096", "-n", "BIG", "IMAGE"], 300);
}

#[test]
fn file_systems_of_linux() {
    compare(&["mkfs.xfs", "-q", "-L", "data", "IMAGE"], 320);
    compare(&["mkfs.btrfs", "-q", "-L", "my data", "IMAGE"], 128);
    compare(&["mkfs.f2fs", "-q", "-l", "flash", "IMAGE"], 64);
    compare(&["mkswap", "-q", "-L", "swap1", "IMAGE"], 8);
    compare(&["mkswap", "-q", "-p", "65536", "IMAGE"], 8);
}

#[test]
fn file_systems_of_others() {
    compare(&["mkfs.ntfs", "-q", "-F", "-f", "-L", "Windows 11", "IMAGE"], 16);
    compare(&["mkfs.ntfs", "-q", "-F", "-f", "-c", "65536", "IMAGE"], 32);
    compare(&["mkfs.exfat", "-L", "Card", "IMAGE"], 32);
    compare(&["mkfs.exfat", "IMAGE"], 32);
}

#[test]
fn images_of_trees() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), "a").unwrap();
    let (tree, image) = (tree.to_str().unwrap(), folder.path().join("image"));
    let shown = image.to_str().unwrap();
    let makers: &[&[&str]] = &[
        &["mksquashfs", tree, shown, "-quiet", "-no-progress"],
        &["mkfs.erofs", shown, tree],
        &["xorriso", "-as", "mkisofs", "-quiet", "-V", "PLAIN_LABEL", "-o", shown, tree],
        &["genisoimage", "-quiet", "-J", "-r", "-V", "cidata", "-o", shown, tree],
        &["genisoimage", "-quiet", "-J", "-V", "A long label of 31 characters.", "-o", shown, tree],
    ];
    for maker in makers {
        if !need_program(maker[0]) || !need_program("blkid") {
            continue;
        }
        fs::remove_file(&image).ok();
        drop(run(maker).success());
        compare_file(&image, maker);
    }
}

#[test]
fn what_wraps() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "secret").unwrap();
    let key = key.to_str().unwrap();
    for kind in ["luks1", "luks2"] {
        let mut maker = vec!["cryptsetup", "-q", "luksFormat", "--type", kind];
        maker.extend(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]);
        maker.extend(["IMAGE", key]);
        let content = compare(&maker, 32);
        let version = if kind == "luks1" { 1 } else { 2 };
        assert!(content.is_none_or(|content| content.kind == ContentKind::Luks { version }));
    }
}

/// Writes `bytes` at `at` of an image of 64 MiB, and compares.
fn by_hand(parts: &[(u64, &[u8])]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image");
    let file = File::create_new(&path).expect("a file");
    file.set_len(64 << 20).expect("room");
    for (at, bytes) in parts {
        file.write_all_at(bytes, *at).expect("room");
    }
    compare_file(&path, &["by hand"]);
}

#[test]
fn members_of_pools_as_their_tools_would_write_them() {
    if !need_program("blkid") {
        return;
    }
    // Their tools want a device mapper or an array; the labels are short enough to write.
    let mut pv = b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001".to_vec();
    pv.extend_from_slice(b"abcdef0123ghij4567klmn8901opqrst");
    pv.resize(512, 0);
    // The checksum of the rest of the sector: CRC-32 without its last step, begun with this.
    let crc = pv[20..].iter().fold(0xf597_a6cf_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    pv[16..20].copy_from_slice(&crc.to_le_bytes());
    pv[8..16].copy_from_slice(&1_u64.to_le_bytes());
    by_hand(&[(512, &pv)]);
    let member = |at: u64| {
        let mut md = vec![0_u8; 256];
        md[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
        md[4] = 1;
        md[16..32].copy_from_slice(b"0123456789abcdef");
        md[32..39].copy_from_slice(b"host:md");
        md[144..152].copy_from_slice(&(at / 512).to_le_bytes());
        let sum: u64 =
            md.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_le_bytes(*word))).sum();
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        md[216..220].copy_from_slice(&u32::try_from(sum).unwrap().to_le_bytes());
        md
    };
    for at in [0, 4096, (64 << 20) - 8192] {
        by_hand(&[(at, &member(at))]);
    }
}

#[test]
fn nothing_is_empty_and_noise_is_unknown() {
    let file = tempfile::tempfile().unwrap();
    for size in [0, 1, 511, 4096, 64 << 20] {
        file.set_len(size).unwrap();
        let mut device = RawFile::new(file.try_clone().unwrap()).unwrap();
        assert_eq!(identify(&mut device).unwrap().kind, ContentKind::Empty, "{size}");
    }
    let noise: Vec<u8> =
        (0..1_u32 << 18).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    file.write_all_at(&noise, 0).unwrap();
    let mut device = RawFile::new(file.try_clone().unwrap()).unwrap();
    assert_eq!(identify(&mut device).unwrap().kind, ContentKind::Unknown);
}

#[test]
fn damaged_beginnings_are_no_panic() {
    // Real beginnings with bytes of noise in them, of devices that end early.
    let makers: &[&[&str]] = &[
        &["mke2fs", "-q", "-F", "-t", "ext4"],
        &["mkfs.vfat", "-F", "32", "-n", "X"],
        &["mkfs.vfat", "-F", "12", "-n", "X"],
        &["mkfs.ntfs", "-q", "-F", "-f", "-L", "X"],
        &["mkfs.exfat", "-L", "X"],
        &["mkfs.f2fs", "-q"],
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut random = 1_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random >> 33
    };
    for maker in makers.iter().filter(|maker| need_program(maker[0])) {
        File::create(&path).unwrap().set_len(64 << 20).unwrap();
        let argv = [maker, &[path.to_str().unwrap()][..]].concat();
        drop(run(&argv).success());
        let whole = fs::read(&path).unwrap();
        let scratch = tempfile::tempfile().unwrap();
        for _ in 0..300 {
            let mut head = whole[..96 << 10].to_vec();
            for _ in 0..=next() % 8 {
                let at = usize::try_from(next() % 2048).unwrap();
                head[at] = next().to_le_bytes()[0];
            }
            scratch.write_all_at(&head, 0).unwrap();
            scratch.set_len(512 << (next() % 16)).unwrap();
            let mut device = RawFile::new(scratch.try_clone().unwrap()).unwrap();
            drop(identify(&mut device).unwrap());
        }
    }
}
