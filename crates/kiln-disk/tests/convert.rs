// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of disks in other formats: what QEMU reads in them, and what becomes of failures.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kiln_disk::convert::{
    Compression, ConvertError, ConvertOptions, TargetFormat, convert, convert_from,
};
use kiln_disk::device::{Device, Extent, RawFile};
use kiln_disk::format::qcow2::Qcow2File;
use kiln_testkit::{need_program, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is text")
}

fn device(path: &Path) -> RawFile {
    RawFile::new(File::open(path).expect("the disk")).expect("the disk")
}

/// Numbers that look random and are the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
        self.0 >> 33
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next().to_le_bytes()[0]);
    }
}

/// Makes a disk with holes, zeros, text and noise, of pieces that begin anywhere.
fn disk(path: &Path, size: u64, seed: u64) {
    let file = File::create(path).expect("a file");
    file.set_len(size).expect("room");
    let mut noise = Noise(seed);
    for _ in 0..40 {
        let at = noise.next() % size;
        let len = (noise.next() % (300 << 10)).min(size - at);
        let mut bytes = vec![0; usize::try_from(len).expect("small")];
        match noise.next() % 4 {
            0 => {}
            1 => noise.fill(&mut bytes),
            _ => bytes
                .iter_mut()
                .zip(0_u64..)
                .for_each(|(b, n)| *b = (n / 97 % 200).to_le_bytes()[0]),
        }
        file.write_all_at(&bytes, at).expect("room");
    }
}

fn done(_: u64, _: u64) {}

#[track_caller]
fn same(raw: &Path, format: &str, copy: &Path) {
    drop(run(&["qemu-img", "compare", "-f", "raw", "-F", format, text(raw), text(copy)]).success());
}

#[track_caller]
fn clean(path: &Path) {
    let out = run(&["qemu-img", "check", "-f", "qcow2", "--output=json", text(path)]);
    assert_eq!(out.code, 0, "{out:?}");
}

#[test]
fn qcow2_of_each_shape_is_clean_and_the_same_disk() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (raw, copy) = (folder.path().join("raw"), folder.path().join("copy.qcow2"));
    for (seed, size) in [(1, 5 << 20), (2, (8 << 20) + 512), (3, 512), (4, 70_656)] {
        disk(&raw, size, seed);
        for compress in [None, Some(Compression::Zlib), Some(Compression::Zstd)] {
            for cluster in [None, Some(512), Some(4096), Some(2 << 20)] {
                for old in [false, true] {
                    if old && compress == Some(Compression::Zstd) {
                        continue;
                    }
                    let options = ConvertOptions {
                        compress,
                        cluster_size: cluster,
                        old,
                        overwrite: true,
                        ..ConvertOptions::new(TargetFormat::Qcow2)
                    };
                    let made = convert(&mut device(&raw), &copy, &options, &done).unwrap();
                    assert_eq!(made.virtual_size.0, size, "{options:?}");
                    clean(&copy);
                    same(&raw, "qcow2", &copy);
                    let mut read = Qcow2File::open(File::open(&copy).unwrap(), "copy").unwrap();
                    let mut got = vec![0; usize::try_from(size).unwrap()];
                    read.read_at(0, &mut got).unwrap();
                    assert!(got == fs::read(&raw).unwrap(), "{options:?}");
                }
            }
        }
    }
}

#[test]
fn the_same_disk_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    disk(&raw, 40 << 20, 7);
    for compress in [None, Some(Compression::Zlib), Some(Compression::Zstd)] {
        let mut files = Vec::new();
        for threads in [1, 2, 5] {
            let copy = folder.path().join(format!("copy{threads}"));
            let threads = NonZeroUsize::new(threads);
            let options = ConvertOptions {
                compress,
                threads,
                overwrite: true,
                ..ConvertOptions::new(TargetFormat::Qcow2)
            };
            let sources: Vec<Box<dyn Device>> = (0..threads.unwrap().get() % 3 + 1)
                .map(|_| -> Box<dyn Device> { Box::new(device(&raw)) })
                .collect();
            convert_from(sources, &copy, &options, &done).unwrap();
            files.push(fs::read(&copy).unwrap());
        }
        assert!(files.windows(2).all(|pair| pair[0] == pair[1]), "{compress:?}");
    }
}

#[test]
fn raw_copies_have_holes() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, copy) = (folder.path().join("raw"), folder.path().join("copy.raw"));
    // All of it is allocated, and most of it zeros.
    let mut bytes = vec![0; (64 << 20) + 512];
    bytes[9 << 20] = 1;
    let last = bytes.len() - 1;
    bytes[last] = 2;
    fs::write(&raw, &bytes).unwrap();
    let options = ConvertOptions::new(TargetFormat::Raw);
    let made = convert(&mut device(&raw), &copy, &options, &done).unwrap();
    assert!(fs::read(&copy).unwrap() == bytes);
    assert_eq!(made.file_size.0, (64 << 20) + 512);
    assert!(made.allocated.0 <= 64 << 10, "{made:?}");
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode, fs::metadata(&raw).unwrap().permissions().mode());
}

#[test]
fn formats_of_others_are_filled_by_qemu() {
    if !need_program("qemu-img") || !need_program("qemu-storage-daemon") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    disk(&raw, (9 << 20) + 1024, 5);
    for format in [
        TargetFormat::Vmdk,
        TargetFormat::VmdkStream,
        TargetFormat::Vhdx,
        TargetFormat::Vpc,
        TargetFormat::Vdi,
    ] {
        let copy = folder.path().join(format!("a:b,{}", format.name()));
        let made = convert(&mut device(&raw), &copy, &ConvertOptions::new(format), &done).unwrap();
        let name = if format == TargetFormat::VmdkStream { "vmdk" } else { format.name() };
        same(&raw, name, &copy);
        assert_eq!(made.file_size.0, fs::metadata(&copy).unwrap().len());
        if format == TargetFormat::VmdkStream {
            let info = run(&["qemu-img", "info", "-f", "vmdk", "--output=json", text(&copy)]);
            assert!(info.success().stdout.contains("streamOptimized"));
            assert!(made.file_size.0.is_multiple_of(512));
        }
    }
    // Nothing is left beside them.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
}

#[test]
fn a_target_that_is_there_stays_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, copy) = (folder.path().join("raw"), folder.path().join("copy"));
    disk(&raw, 1 << 20, 1);
    for format in [TargetFormat::Raw, TargetFormat::Qcow2, TargetFormat::Vhdx] {
        fs::write(&copy, "precious").unwrap();
        let mut options = ConvertOptions::new(format);
        let error = convert(&mut device(&raw), &copy, &options, &done).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` exists already", text(&copy)));
        assert_eq!(fs::read(&copy).unwrap(), b"precious");
        if format == TargetFormat::Vhdx && !need_program("qemu-storage-daemon") {
            continue;
        }
        options.overwrite = true;
        convert(&mut device(&raw), &copy, &options, &done).unwrap();
        assert_ne!(fs::read(&copy).unwrap(), b"precious");
    }
    // A link is not followed.
    fs::remove_file(&copy).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &copy).unwrap();
    let options = ConvertOptions::new(TargetFormat::Raw);
    let error = convert(&mut device(&raw), &copy, &options, &done).unwrap_err();
    assert!(matches!(error, ConvertError::Exists { .. }), "{error}");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let plain = ConvertOptions::new(TargetFormat::Qcow2);
    let cases = [
        (
            ConvertOptions {
                compress: Some(Compression::Zlib),
                ..ConvertOptions::new(TargetFormat::Raw)
            },
            "raw has no compression or clusters to choose",
        ),
        (
            ConvertOptions { compress: Some(Compression::Zstd), old: true, ..plain.clone() },
            "qcow2 of version 2 knows no zstd",
        ),
        (
            ConvertOptions { cluster_size: Some(1000), ..plain.clone() },
            "clusters of 1000 bytes: a power of two from 512 to 2 MiB is needed",
        ),
        (
            ConvertOptions { cluster_size: Some(512), ..plain },
            "a disk of 1099511627776 bytes needs larger clusters than 512",
        ),
    ];
    for (options, why) in cases {
        let mut huge = Huge { read: 0 };
        let error = convert(&mut huge, &copy, &options, &done).unwrap_err();
        assert_eq!(error.to_string(), format!("the copy cannot be made: {why}"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// A disk of 1 TiB with 64 KiB in its middle.
#[derive(Debug)]
struct Huge {
    read: u64,
}

const MIDDLE: u64 = 1 << 39;

impl Device for Huge {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read += u64::try_from(buf.len()).expect("small");
        buf.fill(if at == MIDDLE { 0xa5 } else { 0 });
        Ok(())
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn discard(&mut self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        1 << 40
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        let end = MIDDLE + (64 << 10);
        Ok(match at {
            at if at < MIDDLE => Extent { len: MIDDLE - at, zeros: true },
            at if at < end => Extent { len: end - at, zeros: false },
            at => Extent { len: (1 << 40) - at, zeros: true },
        })
    }
}

#[test]
fn holes_are_skipped_and_progress_ends_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for format in [TargetFormat::Qcow2, TargetFormat::Raw] {
        let copy = folder.path().join(format.name());
        let mut huge = Huge { read: 0 };
        let seen = RefCell::new(Vec::new());
        let progress = |at, size| seen.borrow_mut().push((at, size));
        let options = ConvertOptions::new(format);
        let made = convert(&mut huge, &copy, &options, &progress).unwrap();
        assert!(huge.read <= 2 << 20, "{}", huge.read);
        assert!(made.allocated.0 < 4 << 20, "{made:?}");
        let seen = seen.into_inner();
        assert_eq!((seen.first(), seen.last()), (Some(&(0, 1 << 40)), Some(&(1 << 40, 1 << 40))));
        assert!(seen.is_sorted());
        if format == TargetFormat::Qcow2 && need_program("qemu-img") {
            clean(&copy);
        }
    }
}

/// A disk that fails to read.
#[derive(Debug)]
struct Broken(RawFile);

impl Device for Broken {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        if at >= 4 << 20 { Err(io::Error::other("bad sector")) } else { self.0.read_at(at, buf) }
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.0.discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn size(&self) -> u64 {
        self.0.size()
    }
}

#[test]
fn nothing_is_left_of_a_copy_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let beside = tempfile::tempdir().unwrap();
    let raw = beside.path().join("raw");
    disk(&raw, 30 << 20, 9);
    let there = need_program("qemu-storage-daemon") && need_program("qemu-img");
    for format in TargetFormat::ALL.iter().copied() {
        if !there && !matches!(format, TargetFormat::Raw | TargetFormat::Qcow2) {
            continue;
        }
        let copy = folder.path().join("copy");
        let options = ConvertOptions::new(format);
        let error = convert(&mut Broken(device(&raw)), &copy, &options, &done).unwrap_err();
        assert_eq!(error.to_string(), "could not read the disk at byte 4194304", "{format:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{format:?}");
    }
    let nowhere: PathBuf = folder.path().join("no/folder/copy");
    let options = ConvertOptions::new(TargetFormat::Raw);
    let error = convert(&mut device(&raw), &nowhere, &options, &done).unwrap_err();
    assert!(matches!(error, ConvertError::Write { .. }), "{error}");
}

#[test]
fn names_tell_formats() {
    for (name, format) in [
        ("a.qcow2", Some(TargetFormat::Qcow2)),
        ("a.IMG", Some(TargetFormat::Raw)),
        ("a.vhd", Some(TargetFormat::Vpc)),
        ("a.b/c", None),
    ] {
        assert_eq!(TargetFormat::of_name(Path::new(name)), format, "{name}");
    }
}
