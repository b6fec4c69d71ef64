// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Raw images by what they begin with, and the files that are mistaken for them.
//!
//! Offsets and magic numbers: file(1)'s magic, libblkid's probers, UEFI 2.10 5.3 (GPT).

use std::io::{Read, Seek};

use kiln_spec::Bytes;

use super::FormatError;
use super::source::Source;
use crate::le::{u16_or_zero, u32_or_zero, u64_or_zero};

/// What mkisofs adds to an ISO 9660 file system and some programs take off again.
const ISO_PADDING: u64 = 150 * 2048;

/// What a raw image holds at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RawContent {
    /// A GUID partition table.
    Gpt,
    /// A table of the old kind with at least one partition.
    Mbr,
    /// A boot sector and no partition.
    BootSector,
    /// An ISO 9660 file system: an installation medium.
    Iso9660,
    /// An ext2, ext3 or ext4 file system.
    Ext,
    /// An XFS file system.
    Xfs,
    /// A btrfs file system.
    Btrfs,
    /// A FAT file system.
    Fat,
    /// An NTFS file system.
    Ntfs,
    /// A squashfs file system.
    Squashfs,
    /// A LUKS container.
    Luks,
    /// A physical volume of LVM.
    Lvm,
}

/// Beginnings at fixed offsets: offset, bytes, what it is, how to make an image of it.
const FORMATS: &[(usize, &[u8], &str, &str)] = &[
    (0, b"KDMV", "a VMDK image", CONVERT),
    (0, b"COWD", "a VMDK image", CONVERT),
    (0, b"# Disk DescriptorFile", "a VMDK image's description", CONVERT),
    (0, b"conectix", "a VHD image", CONVERT),
    (0, b"vhdxfile", "a VHDX image", CONVERT),
    (64, b"\x7f\x10\xda\xbe", "a VDI image", CONVERT),
    (0, b"QED\0", "a QED image", CONVERT),
    (0, b"WithoutFreeSpace", "a Parallels image", CONVERT),
    (0, b"WithouFreSpacExt", "a Parallels image", CONVERT),
    (0, b"\x1f\x8b", "a file packed by gzip", "gunzip -k {}"),
    (0, b"\xfd7zXZ\0", "a file packed by xz", "xz -dk {}"),
    (0, b"\x28\xb5\x2f\xfd", "a file packed by zstd", "zstd -d {}"),
    (0, b"BZh", "a file packed by bzip2", "bzip2 -dk {}"),
    (0, b"LZIP", "a file packed by lzip", "lzip -dk {}"),
    (0, b"\x04\x22\x4d\x18", "a file packed by lz4", "lz4 -d {}"),
    (0, b"PK\x03\x04", "a ZIP archive", "unzip {}"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {}"),
];

/// How QEMU's other formats become one that is taken.
const CONVERT: &str = "kiln image convert {} image.qcow2";

/// Beginnings of what is no image of any kind.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (0, b"\x7fELF", "a program"),
    (0x202, b"HdrS", "a Linux kernel"),
    (0, b"!<arch>", "a package or library archive"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a picture"),
    (0, b"070701", "a cpio archive"),
];

fn has(head: &[u8], at: usize, bytes: &[u8]) -> bool {
    head.get(at..).is_some_and(|rest| rest.starts_with(bytes))
}

/// Returns an error if this is a known format that is not taken, or no image at all.
pub(super) fn refuse_other_formats<F: Read + Seek>(
    source: &mut Source<'_, F>,
    head: &[u8],
) -> Result<(), FormatError> {
    let name = source.name;
    let not = |what| Err(FormatError::NotAnImage { name: name.to_owned(), what });
    let unsupported = |what, hint: &str| {
        let hint = hint.replace("{}", name);
        Err(FormatError::Unsupported { name: name.to_owned(), what, hint })
    };
    if head.is_empty() {
        return not("an empty file");
    }
    if let Some((.., what, hint)) = FORMATS.iter().find(|(at, bytes, ..)| has(head, *at, bytes)) {
        return unsupported(what, hint);
    }
    if has(head, 257, b"ustar") {
        // OVF 2.1, 7: the description is the archive's first file.
        let first = head[..100].split(|&b| b == 0).next().unwrap_or_default();
        return if first.to_ascii_lowercase().ends_with(b".ovf") {
            unsupported("an OVA archive", "tar -xf {}, then kiln image convert its disk")
        } else {
            unsupported("a tar archive", "tar -xf {}")
        };
    }
    if let Some((.., what)) = OTHERS.iter().find(|(at, bytes, _)| has(head, *at, bytes)) {
        return not(what);
    }
    // A fixed VHD and a DMG have their mark in the last 512 bytes.
    if source.size > 512 {
        let tail = source.read(source.size - 512, 512)?;
        if tail.starts_with(b"conectix") {
            return unsupported("a VHD image", CONVERT);
        }
        if tail.starts_with(b"koly") {
            return unsupported("a DMG image", CONVERT);
        }
    }
    text(head).map_or(Ok(()), not)
}

/// Returns what kind of text this is, if it is one.
fn text(head: &[u8]) -> Option<&'static str> {
    let window = &head[..head.len().min(1024)];
    // The window may end inside of a character.
    let valid = std::str::from_utf8(window).map_or_else(|e| e.valid_up_to() + 4, |t| t.len());
    let control = |b: &u8| *b < 0x20 && !b"\t\n\r\x0c\x1b".contains(b);
    if valid < window.len() || window.iter().any(control) {
        return None;
    }
    let start = String::from_utf8_lossy(window).trim_start().to_ascii_lowercase();
    let html = ["<!doctype html", "<html", "<head"].iter().any(|tag| start.starts_with(tag));
    Some(if html { "a web page" } else { "a text file" })
}

/// Returns what a raw image holds, and the size that it must have by its own account.
pub(super) fn content<F: Read + Seek>(
    source: &mut Source<'_, F>,
    head: &[u8],
) -> Result<(RawContent, Bytes), FormatError> {
    let found = gpt(head)
        .or_else(|| iso(head))
        .or_else(|| has(head, 0, b"LUKS\xba\xbe").then_some((RawContent::Luks, 0)))
        .or_else(|| file_system(head))
        .or_else(|| boot_sector(head));
    if let Some((content, needed)) = found {
        return Ok((content, Bytes(needed)));
    }
    let what = if head.iter().all(|&b| b == 0) {
        "only zeros at its beginning"
    } else {
        "data without a partition table, file system or boot sector"
    };
    Err(FormatError::NotAnImage { name: source.name.to_owned(), what })
}

fn gpt(head: &[u8]) -> Option<(RawContent, u64)> {
    let sector = [512_usize, 4096].into_iter().find(|&at| has(head, at, b"EFI PART"))?;
    // UEFI 2.10, 5.3.2: the other header is in the disk's last sector, at AlternateLBA.
    let last = u64_or_zero(head, sector + 32);
    let sector = if sector == 512 { 512 } else { 4096 };
    Some((RawContent::Gpt, last.saturating_add(1).saturating_mul(sector)))
}

fn iso(head: &[u8]) -> Option<(RawContent, u64)> {
    has(head, 0x8001, b"CD001").then(|| {
        let size = u64::from(u32_or_zero(head, 0x8000 + 80)).saturating_mul(2048);
        (RawContent::Iso9660, size.saturating_sub(ISO_PADDING))
    })
}

fn file_system(head: &[u8]) -> Option<(RawContent, u64)> {
    const MARKS: &[(usize, &[u8], RawContent)] = &[
        (0, b"XFSB", RawContent::Xfs),
        (0, b"hsqs", RawContent::Squashfs),
        (3, b"NTFS    ", RawContent::Ntfs),
        (54, b"FAT", RawContent::Fat),
        (82, b"FAT32", RawContent::Fat),
        (512, b"LABELONE", RawContent::Lvm),
        (0x10040, b"_BHRfS_M", RawContent::Btrfs),
    ];
    if let Some((.., content)) = MARKS.iter().find(|(at, bytes, _)| has(head, *at, bytes)) {
        return Some((*content, 0));
    }
    // The ext superblock is at 1024, its number at 56 of it. On a disk with partitions, code of
    // a boot loader is there.
    let (log, blocks) =
        (u64::from(u32_or_zero(head, 1024 + 24)), u64::from(u32_or_zero(head, 1024 + 4)));
    if mbr_end(head).is_some()
        || u64::from(u16_or_zero(head, 1024 + 56)) != 0xef53
        || log > 6
        || blocks == 0
    {
        return None;
    }
    Some((RawContent::Ext, blocks.saturating_mul(1024 << log)))
}

fn boot_sector(head: &[u8]) -> Option<(RawContent, u64)> {
    if let Some(end) = mbr_end(head) {
        return Some((RawContent::Mbr, end));
    }
    let code = has(head, 510, b"\x55\xaa") && head[..440].iter().any(|&b| b != 0);
    code.then_some((RawContent::BootSector, 0))
}

/// Returns where the last partition of a table of the old kind ends, if this is such a table
/// with partitions.
fn mbr_end(head: &[u8]) -> Option<u64> {
    if !has(head, 510, b"\x55\xaa") {
        return None;
    }
    let entries: Vec<&[u8]> = head[446..510].chunks(16).collect();
    // The first byte of an entry says whether it is active; code or text has others there.
    if entries.iter().any(|entry| entry[0] & 0x7f != 0) {
        return None;
    }
    let used =
        entries.iter().filter(|entry| entry[4] != 0 && u64::from(u32_or_zero(entry, 12)) != 0);
    used.map(|entry| match entry[4] {
        // UEFI 2.10, 5.2.3: what stands before a GPT may say that it has all that can be said.
        0xee => 0,
        _ => (u64::from(u32_or_zero(entry, 8)) + u64::from(u32_or_zero(entry, 12))) * 512,
    })
    .max()
}
