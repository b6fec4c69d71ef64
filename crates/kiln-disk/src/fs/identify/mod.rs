// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is on a device, by its magic numbers: file systems, and what wraps them.
//!
//! | module | what |
//! |---|---|
//! | `dos` | FAT, exFAT and NTFS, whose labels are in their directories |
//! | `linux` | ext, XFS, btrfs, f2fs, erofs, squashfs, swap |
//! | `optical` | ISO 9660 |
//! | `wrapped` | LUKS, LVM, md RAID, ZFS |
//!
//! Names, labels and numbers are those of `blkid -p` (libblkid of util-linux 2.38); places and
//! magic numbers are from its probers and from each file system's own description.
//!
//! **Invariant:** the device is hostile. Some hundred KiB of it are read at most, nothing of it
//! is believed further than it is shown.

mod dos;
mod linux;
mod optical;
mod wrapped;

use std::fmt;
use std::io;

use uuid::Uuid;

use crate::device::Device;

/// What is on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub kind: ContentKind,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its number as `blkid` writes it, if it has one: not always a UUID.
    pub uuid: Option<String>,
}

/// A kind of file system, or of what wraps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentKind {
    /// ext2, without a journal.
    Ext2,
    /// ext3.
    Ext3,
    /// ext4.
    Ext4,
    /// The journal of another ext file system.
    ExtJournal,
    /// FAT with entries of 12, 16 or 32 bits.
    Vfat {
        /// 12, 16 or 32.
        bits: u8,
    },
    /// ISO 9660.
    Iso9660,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// NTFS.
    Ntfs,
    /// exFAT.
    Exfat,
    /// squashfs.
    Squashfs,
    /// EROFS.
    Erofs,
    /// F2FS.
    F2fs,
    /// Swap space.
    Swap,
    /// A physical volume of LVM.
    LvmPv,
    /// A LUKS container.
    Luks {
        /// 1 or 2.
        version: u16,
    },
    /// A member of a RAID of Linux's md driver.
    Mdraid,
    /// A member of a ZFS pool.
    Zfs,
    /// Zeros at the beginning, and no sign of anything at the end.
    Empty,
    /// Something else.
    Unknown,
}

impl ContentKind {
    /// Returns the name that `blkid` and mount(8) have for it; `empty` and `unknown` for the last
    /// two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::ExtJournal => "jbd",
            Self::Vfat { .. } => "vfat",
            Self::Iso9660 => "iso9660",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "ntfs",
            Self::Exfat => "exfat",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::F2fs => "f2fs",
            Self::Swap => "swap",
            Self::LvmPv => "LVM2_member",
            Self::Luks { .. } => "crypto_LUKS",
            Self::Mdraid => "linux_raid_member",
            Self::Zfs => "zfs_member",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether it is a file system: something with a tree of files.
    #[must_use]
    pub fn has_files(self) -> bool {
        match self {
            Self::Ext2
            | Self::Ext3
            | Self::Ext4
            | Self::Vfat { .. }
            | Self::Iso9660
            | Self::Xfs
            | Self::Btrfs
            | Self::Ntfs
            | Self::Exfat
            | Self::Squashfs
            | Self::Erofs
            | Self::F2fs => true,
            Self::ExtJournal
            | Self::Swap
            | Self::LvmPv
            | Self::Luks { .. }
            | Self::Mdraid
            | Self::Zfs
            | Self::Empty
            | Self::Unknown => false,
        }
    }

    /// Returns whether it is ext2, ext3 or ext4.
    #[must_use]
    pub fn is_ext(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4)
    }
}

impl fmt::Display for ContentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The bytes up to here tell whether a device is empty.
const HEAD: u64 = 68 << 10;

/// Finds out what is on `device`: a partition, or a disk without a partition table.
///
/// What wraps (RAID, LVM, LUKS) is looked for first, since what it wraps may lie where it would
/// without it.
///
/// # Errors
///
/// What the device says. That there is nothing known is no error.
pub fn identify(device: &mut dyn Device) -> io::Result<Content> {
    let mut probe = Probe { device };
    for prober in PROBERS {
        if let Some(found) = prober(&mut probe)? {
            return Ok(found);
        }
    }
    let size = probe.device.size();
    let head = probe.bytes(0, HEAD.min(size))?.unwrap_or_default();
    let empty = head.iter().all(|&byte| byte == 0);
    Ok(Content::bare(if empty { ContentKind::Empty } else { ContentKind::Unknown }))
}

type Prober = fn(&mut Probe<'_>) -> io::Result<Option<Content>>;

/// Every prober, in the order of libblkid.
const PROBERS: &[Prober] = &[
    wrapped::mdraid,
    wrapped::lvm,
    wrapped::luks,
    wrapped::zfs,
    dos::exfat,
    dos::ntfs,
    dos::vfat,
    linux::swap,
    linux::xfs,
    linux::ext,
    linux::btrfs,
    linux::f2fs,
    linux::erofs,
    linux::squashfs,
    optical::iso9660,
];

impl Content {
    fn bare(kind: ContentKind) -> Self {
        Self { kind, label: None, uuid: None }
    }

    fn label(mut self, label: String) -> Self {
        let label = label.trim_end().to_owned();
        self.label = (!label.is_empty()).then_some(label);
        self
    }

    fn uuid(mut self, bytes: &[u8]) -> Self {
        let bytes = <[u8; 16]>::try_from(bytes).unwrap_or_default();
        self.uuid = (bytes != [0; 16]).then(|| Uuid::from_bytes(bytes).to_string());
        self
    }

    fn number(mut self, number: String) -> Self {
        self.uuid = Some(number);
        self
    }
}

/// A device that is looked at.
struct Probe<'a> {
    device: &'a mut dyn Device,
}

impl Probe<'_> {
    /// Returns `len` bytes from `at` on; `None` if the device is shorter.
    fn bytes(&mut self, at: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        if at.checked_add(len).is_none_or(|end| end > self.device.size()) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(len).expect("some KiB are asked for at most")];
        self.device.read_at(at, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// Returns `len` bytes from `at` on, if `magic` is at `offset` of them.
    fn with_magic(
        &mut self,
        (at, len): (u64, u64),
        offset: usize,
        magic: &[u8],
    ) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.bytes(at, len)?;
        Ok(bytes.filter(|bytes| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))))
    }
}

/// Returns the text up to the first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Returns the text of UTF-16 units, low byte first, up to the first zero.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
