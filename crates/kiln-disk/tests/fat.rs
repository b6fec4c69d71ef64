// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT as other programs read it: fsck.vfat (dosfstools), mtools.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_disk::device::RawFile;
use kiln_disk::fs::fat::FatImage;
use kiln_testkit::{need_program, run};

const TIME: u64 = 1_700_000_000;

/// Returns a tree with all that is hard: long names, names alike, empty files, many entries.
fn image() -> FatImage {
    let mut image = FatImage::new("esp", 0x1a2b_3c4d, TIME);
    let mut add = |path: &str, bytes: Vec<u8>| image.add(path, bytes).expect("a good path");
    add("EFI/BOOT/BOOTX64.EFI", vec![7; 1_000_003]);
    add("EFI/BOOT/grubx64.efi", vec![8; 512]);
    add("EFI/debian/grub.cfg", b"configfile\n".to_vec());
    add("empty", Vec::new());
    add("A rather long name with spaces, and \u{fc}mlauts.text", b"long".to_vec());
    for n in 0..300_u32 {
        add(&format!("many/file-with-a-longish-name-{n:03}.conf"), vec![n.to_le_bytes()[0]; 3]);
    }
    add("a/b/c/d/e/f/deep", b"deep".to_vec());
    image
}

fn written(image: &FatImage, folder: &Path, name: &str, size: u64) -> PathBuf {
    let path = folder.join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.expect("a new file");
    file.set_len(size).expect("a sparse file");
    image.write(&mut RawFile::new(file).expect("a device")).expect("room for the tree");
    path
}

#[test]
fn fsck_and_mtools_read_fat16_and_fat32() {
    if !need_program("fsck.vfat") || !need_program("mtype") || !need_program("minfo") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (mib, kind) in [(5, "FAT16"), (33, "FAT16"), (34, "FAT32"), (64, "FAT32"), (300, "FAT32")] {
        let path = written(&image(), folder.path(), &format!("{mib}.img"), mib << 20);
        let path = path.to_str().unwrap();
        let checked = run(&["fsck.vfat", "-n", "-v", path]).success();
        assert!(checked.stdout.contains("Checking for unused clusters"), "{}", checked.stdout);
        assert!(!checked.stdout.contains("differ"), "{}", checked.stdout);
        let info = run(&["minfo", "-i", path, "::"]).success().stdout;
        assert!(info.contains(&format!("disk type=\"{kind}")), "{mib}: {info}");
        assert!(info.contains("serial number: 1A2B3C4D"), "{info}");
        let read = |name: &str| run(&["mtype", "-i", path, name]).success().stdout;
        assert_eq!(read("::EFI/debian/grub.cfg"), "configfile\n");
        assert_eq!(read("::efi/boot/GRUBX64.EFI"), "\u{8}".repeat(512));
        assert_eq!(read("::EFI/BOOT/BOOTX64.EFI"), "\u{7}".repeat(1_000_003));
        assert_eq!(read("::a/b/c/d/e/f/deep"), "deep");
        assert_eq!(read("::empty"), "");
        let listed = run(&["mdir", "-b", "-i", path, "::many"]).success().stdout;
        assert_eq!(listed.lines().count(), 300);
        assert!(listed.contains("::/many/file-with-a-longish-name-299.conf"), "{listed}");
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let one = written(&image(), folder.path(), "1", 40 << 20);
    let two = written(&image(), folder.path(), "2", 40 << 20);
    assert!(std::fs::read(one).unwrap() == std::fs::read(two).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4 << 20).unwrap();
    let mut image = FatImage::new("", 1, TIME);
    image.add("big", vec![1; 5 << 20]).unwrap();
    let error = image.write(&mut RawFile::new(file).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the files for the FAT file system take 5 MiB, and it has 3.9 MiB"
    );
    let bad = |path: &str| image_error(path);
    assert_eq!(bad("a/../b"), "`a/../b` cannot be a path on FAT: a name is empty, `.` or `..`");
    assert_eq!(
        bad("x:y"),
        "`x:y` cannot be a path on FAT: a name has a character that FAT does not allow"
    );
    assert_eq!(bad("THERE"), "`THERE` cannot be a path on FAT: there is something of this name");
}

fn image_error(path: &str) -> String {
    let mut image = FatImage::new("", 1, TIME);
    image.add("there", Vec::new()).expect("a good path");
    image.add(path, Vec::new()).expect_err("a bad path").to_string()
}
