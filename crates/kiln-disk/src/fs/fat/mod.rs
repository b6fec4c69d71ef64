// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT: written whole ([`FatImage`], FAT16 and FAT32, for an EFI system partition), or read and
//! changed in place ([`FatFs`], FAT12 too).
//!
//! A new file system: the same input gives the same bytes: number and time are handed in. File systems of 34 MiB and
//! more become FAT32, smaller ones FAT16, and files lie in one run of clusters each, in the order that they were added in.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.

pub mod check;
mod error;
mod name;
mod time;
mod tree;
mod volume;

use std::io;

use kiln_spec::Bytes;

pub use self::error::FatError;
use self::tree::Tree;
pub use self::volume::{FatFs, FatInfo, FatKind, Listed, Node, Stat, Usage};
use crate::device::{Device, len64};

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Sectors before the first table: FAT32 needs at least 7 (boot, information and their copies).
const RESERVED_32: u64 = 32;
const RESERVED_16: u64 = 1;
/// Entries of FAT16's root directory.
const ROOT_ENTRIES: u64 = 512;
/// The smallest file system that becomes FAT32: with less it would have too few clusters.
const LEAST_FAT32: u64 = 34 << 20;
/// FAT is told from FAT by the count of clusters: 1.03, "FAT Type Determination".
const FAT16_CLUSTERS: std::ops::Range<u64> = 4085..65_525;
const FAT32_CLUSTERS: std::ops::Range<u64> = 65_525..0x0fff_fff5;
/// Bytes of a directory entry.
const ENTRY: usize = 32;

/// Returns a file system's number as programs show it and as `/etc/fstab` takes it: `1A2B-3C4D`.
pub(crate) fn serial_text(number: u32) -> String {
    format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
}

/// A FAT file system to be written.
#[derive(Debug)]
pub struct FatImage {
    label: String,
    serial: u32,
    time: u64,
    tree: Tree,
}

impl FatImage {
    /// Returns an empty file system. `label` is at most 11 ASCII characters (the rest is cut
    /// off), `serial` its number, and `time`, in seconds since 1970, the time of every file.
    #[must_use]
    pub fn new(label: &str, serial: u32, time: u64) -> Self {
        let kept = label.chars().filter(char::is_ascii_graphic).take(11);
        let label = kept.collect::<String>().to_ascii_uppercase();
        Self { label, serial, time, tree: Tree::default() }
    }

    /// Adds a file. Its directories are made.
    ///
    /// # Errors
    ///
    /// [`FatError::BadPath`].
    pub fn add(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), FatError> {
        let bad = |why| FatError::BadPath { path: path.to_owned(), why };
        self.tree.add(path, bytes).map_err(bad)
    }

    /// Returns the number as programs show it and as `/etc/fstab` takes it: `1A2B-3C4D`.
    #[must_use]
    pub fn uuid(&self) -> String {
        serial_text(self.serial)
    }

    /// Writes the file system over the whole of `device`, which must read as zeros so far.
    ///
    /// # Errors
    ///
    /// [`FatError::BadSize`], [`FatError::Full`], [`FatError::Io`].
    pub fn write(&self, device: &mut dyn Device) -> Result<(), FatError> {
        let shape = Shape::of(device.size())?;
        let placed = self.tree.place(
            &shape,
            time::stamp(i64::try_from(self.time).unwrap_or(i64::MAX)),
            &self.label,
        );
        if placed.clusters() > shape.clusters {
            let need = Bytes(placed.clusters() * shape.cluster());
            return Err(FatError::Full { need, room: Bytes(shape.clusters * shape.cluster()) });
        }
        self.put(device, &shape, &placed)
            .map_err(|source| FatError::Io { doing: "write the FAT file system", source })
    }

    fn put(&self, device: &mut dyn Device, shape: &Shape, placed: &tree::Placed) -> io::Result<()> {
        let boot = self.boot_sector(shape);
        device.write_at(0, &boot)?;
        if shape.fat32 {
            let info = information(shape.clusters - placed.clusters(), placed.clusters() + 2);
            device.write_at(SECTOR, &info)?;
            device.write_at(6 * SECTOR, &boot)?;
            device.write_at(7 * SECTOR, &info)?;
        }
        let table = shape.table(&placed.runs);
        for copy in 0..2 {
            device.write_at((shape.reserved + copy * shape.table_sectors) * SECTOR, &table)?;
        }
        if let Some(root) = &placed.fixed_root {
            device.write_at(shape.root_at() * SECTOR, root)?;
        }
        for (cluster, bytes) in &placed.contents {
            device.write_at(shape.cluster_at(*cluster), bytes)?;
        }
        Ok(())
    }

    fn boot_sector(&self, shape: &Shape) -> Vec<u8> {
        let mut b = Vec::with_capacity(512);
        b.extend_from_slice(if shape.fat32 { &[0xeb, 0x58, 0x90] } else { &[0xeb, 0x3c, 0x90] });
        b.extend_from_slice(b"KILN    ");
        b.extend_from_slice(&small(SECTOR));
        b.push(u8::try_from(shape.per_cluster).expect("at most 64 sectors"));
        b.extend_from_slice(&small(shape.reserved));
        b.push(2);
        b.extend_from_slice(&small(if shape.fat32 { 0 } else { ROOT_ENTRIES }));
        let short = u16::try_from(shape.sectors).ok().filter(|_| !shape.fat32);
        b.extend_from_slice(&short.unwrap_or_default().to_le_bytes());
        b.push(0xf8);
        b.extend_from_slice(&small(if shape.fat32 { 0 } else { shape.table_sectors }));
        // Sectors a track and heads: what QEMU's BIOS shows for any disk of this century.
        b.extend_from_slice(&63_u16.to_le_bytes());
        b.extend_from_slice(&255_u16.to_le_bytes());
        b.extend_from_slice(&[0; 4]);
        let long = if short.is_some() { 0 } else { shape.sectors };
        b.extend_from_slice(&wide(long));
        if shape.fat32 {
            b.extend_from_slice(&wide(shape.table_sectors));
            // Flags, version; root directory's cluster; information's sector, copy's sector.
            b.extend_from_slice(&[0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 6, 0]);
            b.extend_from_slice(&[0; 12]);
        }
        b.extend_from_slice(&[0x80, 0, 0x29]);
        b.extend_from_slice(&self.serial.to_le_bytes());
        let label = if self.label.is_empty() { "NO NAME" } else { self.label.as_str() };
        b.extend_from_slice(format!("{label:<11}").as_bytes());
        b.extend_from_slice(if shape.fat32 { b"FAT32   " } else { b"FAT16   " });
        b.resize(510, 0);
        b.extend_from_slice(&[0x55, 0xaa]);
        b
    }
}

/// Returns FAT32's sector of information: free clusters, and where to look for one.
fn information(free: u64, next: u64) -> Vec<u8> {
    let mut b = b"RRaA".to_vec();
    b.resize(484, 0);
    b.extend_from_slice(b"rrAa");
    b.extend_from_slice(&wide(free));
    b.extend_from_slice(&wide(next));
    b.resize(508, 0);
    b.extend_from_slice(&[0, 0, 0x55, 0xaa]);
    b
}

fn small(number: u64) -> [u8; 2] {
    u16::try_from(number).expect("checked when the shape was chosen").to_le_bytes()
}

fn wide(number: u64) -> [u8; 4] {
    u32::try_from(number).expect("checked when the shape was chosen").to_le_bytes()
}

/// How a file system of some size is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    fat32: bool,
    sectors: u64,
    reserved: u64,
    per_cluster: u64,
    table_sectors: u64,
    clusters: u64,
}

impl Shape {
    fn of(size: u64) -> Result<Self, FatError> {
        let bad = || FatError::BadSize { size: Bytes(size) };
        let sectors = size / SECTOR;
        let fat32 = size >= LEAST_FAT32;
        let allowed = if fat32 { FAT32_CLUSTERS } else { FAT16_CLUSTERS };
        u32::try_from(sectors).map_err(|_| bad())?;
        // The smallest clusters that do; for FAT32 as Windows chooses from 260 MiB on.
        let first = if size >= 260 << 20 { 8 } else { 1 };
        [1, 2, 4, 8, 16, 32, 64]
            .into_iter()
            .filter(|&per_cluster| per_cluster >= first)
            .filter_map(|per_cluster| Self::with(sectors, fat32, per_cluster))
            .find(|shape| allowed.contains(&shape.clusters))
            .ok_or_else(bad)
    }

    fn with(sectors: u64, fat32: bool, per_cluster: u64) -> Option<Self> {
        let reserved = if fat32 { RESERVED_32 } else { RESERVED_16 };
        let mut shape =
            Self { fat32, sectors, reserved, per_cluster, table_sectors: 0, clusters: 0 };
        let room = sectors.checked_sub(reserved + shape.root_sectors())?;
        let width = if fat32 { 4 } else { 2 };
        // Large enough for a table over all clusters if there were no table: a little too large.
        shape.table_sectors = ((room / per_cluster + 2) * width).div_ceil(SECTOR);
        shape.clusters = room.checked_sub(2 * shape.table_sectors)? / per_cluster;
        (fat32 || shape.table_sectors <= u64::from(u16::MAX)).then_some(shape)
    }

    /// Sectors of the root directory that lies outside the clusters.
    fn root_sectors(&self) -> u64 {
        if self.fat32 { 0 } else { ROOT_ENTRIES * 32 / SECTOR }
    }

    fn root_at(&self) -> u64 {
        self.reserved + 2 * self.table_sectors
    }

    /// Bytes of a cluster.
    fn cluster(&self) -> u64 {
        self.per_cluster * SECTOR
    }

    /// Returns the byte that a cluster begins at. The first has number 2.
    fn cluster_at(&self, cluster: u64) -> u64 {
        let first = self.root_at() + self.root_sectors();
        (first + (cluster - 2) * self.per_cluster) * SECTOR
    }

    /// Returns the table for runs of clusters: first cluster and count of each.
    fn table(&self, runs: &[(u64, u64)]) -> Vec<u8> {
        let mut table = Vec::new();
        let mut put = |value: u64| {
            let bytes = wide(value);
            table.extend_from_slice(if self.fat32 { &bytes } else { &bytes[..2] });
        };
        let end = if self.fat32 { 0x0fff_ffff } else { 0xffff };
        put(end - 7);
        put(end);
        // Runs follow each other from cluster 2 on.
        for &(first, count) in runs {
            for cluster in first..first + count - 1 {
                put(cluster + 1);
            }
            put(end);
        }
        debug_assert!(len64(&table) <= self.table_sectors * SECTOR);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_clusters_says_which_fat_it_is() {
        for (mib, fat32) in
            [(3, false), (16, false), (33, false), (34, true), (64, true), (1024, true)]
        {
            let shape = Shape::of(mib << 20).unwrap();
            assert_eq!(shape.fat32, fat32, "{mib}");
            let allowed = if fat32 { FAT32_CLUSTERS } else { FAT16_CLUSTERS };
            assert!(allowed.contains(&shape.clusters), "{mib}: {shape:?}");
        }
        let error = Shape::of(1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "a FAT file system cannot have 1 MiB");
    }
}
