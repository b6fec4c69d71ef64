// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images of other formats, opened, changed and left alone as those that are read in process.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use kiln_disk::device::Device;
use kiln_disk::format::foreign::ForeignFormat;
use kiln_disk::image::{DiskImage, FormatName, ImageError, Mode, OpenOptions};
use kiln_testkit::{need_program, run};

fn tools() -> bool {
    ["qemu-img", "qemu-io", "qemu-storage-daemon"].iter().all(|program| need_program(program))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

fn create(path: &Path, format: &str, options: &str) {
    let mut argv = vec!["qemu-img", "create", "-q", "-f", format];
    if !options.is_empty() {
        argv.extend(["-o", options]);
    }
    argv.extend([text(path), "32M"]);
    drop(run(&argv).success());
}

fn open(path: &Path, mode: Mode) -> Result<DiskImage, ImageError> {
    DiskImage::open(path, &OpenOptions { mode, ..OpenOptions::default() })
}

/// What QEMU reads there.
fn pattern(path: &Path, format: &str, pattern: u8, at: &str, len: &str) {
    let command = format!("read -P {pattern} {at} {len}");
    let out = run(&["qemu-io", "-r", "-f", format, "-c", &command, text(path)]).success();
    assert!(!out.stdout.contains("verification failed"), "{}", out.stdout);
}

#[test]
fn changes_are_all_or_nothing() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (format, options) in [
        ("vmdk", ""),
        ("vhdx", ""),
        ("vpc", "force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vdi", ""),
        ("qed", ""),
        ("parallels", ""),
    ] {
        let path = folder.path().join("image");
        create(&path, format, options);
        drop(run(&["qemu-io", "-f", format, "-c", "write -P 7 1M 2M", text(&path)]).success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::read(&path).unwrap();
        // Read, tried, and dropped.
        let image = open(&path, Mode::Read).unwrap();
        assert_eq!(image.info().format.to_string(), format);
        let mut got = [0; 4096];
        image.device().read_at(1 << 20, &mut got).unwrap();
        assert_eq!(got, [7; 4096]);
        assert!(image.device().write_at(0, b"x").is_err());
        drop(image);
        let image = open(&path, Mode::Scratch).unwrap();
        image.device().write_at(1 << 20, &[1; 8192]).unwrap();
        drop(image);
        drop(open(&path, Mode::Write).unwrap());
        assert!(fs::read(&path).unwrap() == before, "{format}");
        // Changed.
        let image = open(&path, Mode::Write).unwrap();
        image.device().write_at(20 << 20, &[9; 1 << 20]).unwrap();
        image.device().discard(2 << 20, 1 << 20).unwrap();
        assert!(fs::read(&path).unwrap() == before, "{format}");
        assert!(image.commit().unwrap());
        pattern(&path, format, 7, "1M", "1M");
        pattern(&path, format, 0, "2M", "1M");
        pattern(&path, format, 9, "20M", "1M");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{format}");
        if ["vmdk", "vhdx", "vdi", "qed", "parallels"].contains(&format) {
            drop(run(&["qemu-img", "check", "-f", format, text(&path)]).success());
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_cannot_be_changed_is_refused_before_it_is_tried() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flat.vmdk");
    create(&path, "vmdk", "subformat=monolithicFlat");
    let error = open(&path, Mode::Write).unwrap_err();
    let why = format!("`{}` is a vmdk image, which cannot be changed so", text(&path));
    assert_eq!(error.to_string(), why);
    assert!(error.hint().unwrap().contains("kiln image convert"));
    let image = open(&path, Mode::Read).unwrap();
    assert_eq!(image.info().format, FormatName::Foreign(ForeignFormat::Vmdk));
    drop(image);
    let path = folder.path().join("d.vdi");
    create(&path, "vdi", "");
    let mut image = open(&path, Mode::Write).unwrap();
    assert!(matches!(image.resize_virtual(64 << 20), Err(ImageError::NotChanged { .. })));
    drop(image);
    // What QEMU does not take is said in its words.
    File::options().write(true).open(&path).unwrap().write_all_at(&[0xff; 8], 0x170).unwrap();
    let error = open(&path, Mode::Read).unwrap_err();
    assert!(matches!(error, ImageError::Format(_)), "{error}");
    assert!(error.to_string().contains("QEMU says: "), "{error}");
}

#[test]
fn an_image_that_is_in_use_is_not_changed() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.vmdk");
    create(&path, "vmdk", "");
    let first = open(&path, Mode::Write).unwrap();
    assert!(matches!(open(&path, Mode::Write), Err(ImageError::InUse { .. })));
    let reading = open(&path, Mode::Read).unwrap();
    assert_eq!(reading.warnings().len(), 1);
    drop((first, reading));
    drop(open(&path, Mode::Write).unwrap());
}
