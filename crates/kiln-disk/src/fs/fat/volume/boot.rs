// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The first sector: which FAT it is, and where its parts are.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03, "Boot Sector and BPB"; what
//! counts as FAT16 and what is taken is as in Linux, fs/fat/inode.c, `fat_fill_super`.

use super::super::FatError;
use crate::device::Device;
use crate::le::{u16_at, u32_at};

/// The most clusters of FAT12, FAT16 and FAT32: Linux, fs/fat/fat.h, `MAX_FAT12` and on.
const MOST_12: u64 = 0xff4;
const MOST_16: u64 = 0xfff4;
const MOST_32: u64 = 0x0fff_fff6;

/// Which of the three file systems it is: bits of an entry of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FatKind {
    /// Up to 4084 clusters.
    Fat12,
    /// Up to 65,524 clusters.
    Fat16,
    /// More, and a root directory that grows.
    Fat32,
}

/// How the file system is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boot {
    pub(super) kind: FatKind,
    /// Bytes of a cluster.
    pub(super) cluster: u64,
    /// How many clusters there are; the first has number 2.
    pub(super) clusters: u32,
    /// Where each copy of the table that is in use begins, the one to be read first.
    pub(super) tables: Vec<u64>,
    /// Bytes of one table.
    pub(super) table_len: u64,
    /// Where the root directory lies that has no cluster, and its length.
    pub(super) root: (u64, u64),
    /// The root directory's first cluster on FAT32.
    pub(super) root_cluster: u32,
    /// Where the first cluster lies.
    data: u64,
    /// Where the sector with the count of free clusters lies.
    pub(super) information: Option<u64>,
    /// The number of the file system.
    pub(super) serial: u32,
    /// The label that the first sector has.
    pub(super) label: [u8; 11],
    /// Linux's note that the file system is in use or was not unmounted.
    pub(super) in_use: bool,
}

impl Boot {
    pub(super) fn read(device: &mut dyn Device) -> Result<Self, FatError> {
        let mut b = [0; 512];
        let io = |source| FatError::Io { doing: "read the boot sector", source };
        if device.size() < 512 {
            return Err(not("the device is too small"));
        }
        device.read_at(0, &mut b).map_err(io)?;
        Self::parse(&b, device.size())
    }

    fn parse(b: &[u8; 512], size: u64) -> Result<Self, FatError> {
        let (le16, le32) = (|at: usize| u16_at(b, at), |at: usize| u32_at(b, at));
        let sector = u64::from(le16(11));
        let per_cluster = u64::from(b[13]);
        let (reserved, copies) = (u64::from(le16(14)), u64::from(b[16]));
        if !matches!(b[0], 0xeb | 0xe9 | 0x00) || (b[21] < 0xf8 && b[21] != 0xf0) {
            return Err(not("it begins with no boot sector of FAT"));
        }
        if ![512, 1024, 2048, 4096].contains(&sector) {
            return Err(not(&format!("sectors of {sector} bytes")));
        }
        if !per_cluster.is_power_of_two() || reserved == 0 || !(1..=4).contains(&copies) {
            let what = format!(
                "{per_cluster} sectors a cluster, {reserved} before the table, {copies} tables"
            );
            return Err(not(&what));
        }
        let fat32 = le16(22) == 0;
        let table = if fat32 { u64::from(le32(36)) } else { u64::from(le16(22)) };
        let root_len = u64::from(le16(17)) * 32;
        let sectors = if le16(19) == 0 { u64::from(le32(32)) } else { u64::from(le16(19)) };
        let root_at = reserved + copies * table;
        let data = root_at + root_len.div_ceil(sector);
        let room = sectors.checked_sub(data).map_or(0, |left| left / per_cluster);
        let kind = kind_of(fat32, room);
        // A table may be too short for all clusters; those it lacks do not exist.
        let entries = table * sector * 8 / kind.bits();
        let clusters = room.min(entries.saturating_sub(2));
        if clusters == 0 || clusters > kind.most() {
            return Err(not(&format!("{clusters} clusters")));
        }
        if sectors * sector > size {
            let missing = sectors * sector - size;
            let what = format!("it is cut off: {missing} bytes are missing at its end");
            return Err(FatError::Damaged { what });
        }
        let root_cluster = if fat32 { le32(44) } else { 0 };
        let clusters = u32::try_from(clusters).expect("bounded above");
        if fat32 && !(2..clusters + 2).contains(&root_cluster) {
            return Err(not(&format!("a root directory in cluster {root_cluster}")));
        }
        // Bit 7: only the table with this number is kept.
        let flags = if fat32 { le16(40) } else { 0 };
        let active = u64::from(flags & 15);
        let used =
            if flags & 0x80 != 0 && active < copies { active..active + 1 } else { 0..copies };
        let tables = used.map(|n| (reserved + n * table) * sector).collect();
        let information = u64::from(le16(48));
        let has_information = fat32 && information > 0 && information < reserved;
        let tail = if fat32 { 64 } else { 36 };
        let extended = b[tail + 2] == 0x29;
        Ok(Self {
            kind,
            cluster: per_cluster * sector,
            clusters,
            tables,
            table_len: table * sector,
            root: if fat32 { (0, 0) } else { (root_at * sector, root_len) },
            root_cluster,
            data: data * sector,
            information: has_information.then_some(information * sector),
            serial: if extended || b[tail + 2] == 0x28 { le32(tail + 3) } else { 0 },
            label: if extended { field(b, tail + 7) } else { [b' '; 11] },
            in_use: b[tail + 1] & 1 != 0,
        })
    }

    /// Returns the bytes of a cluster as a length in memory.
    pub(super) fn cluster_len(&self) -> usize {
        usize::try_from(self.cluster).expect("128 sectors of at most 4 KiB")
    }

    /// Returns where a cluster lies, if there is one of this number.
    pub(super) fn place(&self, cluster: u32) -> Option<u64> {
        let number = cluster.checked_sub(2).filter(|&n| n < self.clusters)?;
        Some(self.data + u64::from(number) * self.cluster)
    }
}

impl FatKind {
    /// Returns the bits of one entry of the table.
    pub(super) fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    fn most(self) -> u64 {
        match self {
            Self::Fat12 => MOST_12,
            Self::Fat16 => MOST_16,
            Self::Fat32 => MOST_32,
        }
    }
}

fn kind_of(fat32: bool, clusters: u64) -> FatKind {
    match (fat32, clusters) {
        (true, _) => FatKind::Fat32,
        (false, n) if n > MOST_12 => FatKind::Fat16,
        (false, _) => FatKind::Fat12,
    }
}

fn not(why: &str) -> FatError {
    FatError::NotFat { why: why.to_owned() }
}

fn field(b: &[u8], at: usize) -> [u8; 11] {
    let mut out = [0; 11];
    out.copy_from_slice(&b[at..at + 11]);
    out
}
