// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A new table of the old kind: up to four partitions, one after the other.

use std::io;

use kiln_spec::Bytes;

use super::{DISK_ID, ENTRIES, ENTRY, SECTOR};
use crate::device::Device;
use crate::table::gpt::{Extent, LayoutError};

/// Every partition begins at a multiple of this: 1 MiB, as `sfdisk` does it.
const ALIGN: u64 = 1 << 20;
/// The most sectors that a table can speak of.
const MOST: u64 = 1 << 32;
/// How a partition beyond the reach of cylinders, heads and sectors is written.
const FAR: [u8; 3] = [0xfe, 0xff, 0xff];

/// Type of a Linux file system.
pub const LINUX: u8 = 0x83;
/// Type of a physical volume of LVM.
pub const LVM: u8 = 0x8e;
/// Type of Linux's swap space.
pub const SWAP: u8 = 0x82;
/// Type of a FAT file system, reached by sector numbers.
pub const FAT: u8 = 0x0c;
/// Type of the EFI system partition.
pub const ESP: u8 = 0xef;

/// One partition to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MbrSpec {
    /// Its name, for errors.
    pub name: String,
    /// Its type.
    pub kind: u8,
    /// Whether it is marked as the one that is booted from.
    pub active: bool,
    /// Its size, rounded up to whole MiB; `None` for all that is left.
    pub size: Option<Bytes>,
}

/// A table that has been thought out, and not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MbrPlan {
    disk: u32,
    parts: Vec<(MbrSpec, Extent)>,
}

/// Plans a table for a disk of `size` with the number `disk`. Only the last part may have no size.
///
/// # Errors
///
/// [`LayoutError::NoRoom`], [`LayoutError::TooMany`].
pub fn plan(size: Bytes, disk: u32, parts: &[MbrSpec]) -> Result<MbrPlan, LayoutError> {
    if parts.len() > 4 {
        return Err(LayoutError::TooMany { asked: parts.len() });
    }
    let end = size.0.min(MOST * SECTOR) / ALIGN * ALIGN;
    let mut next = ALIGN;
    let mut placed = Vec::new();
    for part in parts {
        let left = end.saturating_sub(next);
        let need = part.size.map(|size| size.0.div_ceil(ALIGN).max(1).saturating_mul(ALIGN));
        let len = need.unwrap_or(left);
        if len > left || len == 0 {
            let need = Bytes(need.unwrap_or(ALIGN));
            return Err(LayoutError::NoRoom { name: part.name.clone(), need, left: Bytes(left) });
        }
        placed.push((part.clone(), Extent { start: next, len }));
        next += len;
    }
    Ok(MbrPlan { disk, parts: placed })
}

impl MbrPlan {
    /// Returns where each partition lies, in the order that they were given in.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        self.parts.iter().map(|&(_, extent)| extent)
    }

    /// Writes the table into the first sector of `device`; a boot loader's code there stays.
    ///
    /// # Errors
    ///
    /// What the device says.
    ///
    /// # Panics
    ///
    /// Never: the plan ends before 2 TiB.
    pub fn write(&self, device: &mut dyn Device) -> io::Result<()> {
        let mut sector = [0; 512];
        device.read_at(0, &mut sector)?;
        sector[DISK_ID..].fill(0);
        sector[DISK_ID..DISK_ID + 4].copy_from_slice(&self.disk.to_le_bytes());
        for (number, (part, extent)) in self.parts.iter().enumerate() {
            let at = ENTRIES + number * ENTRY;
            let short = |bytes: u64| {
                u32::try_from(bytes / SECTOR).expect("a table ends at 2 TiB").to_le_bytes()
            };
            sector[at] = if part.active { 0x80 } else { 0 };
            sector[at + 1..at + 4].copy_from_slice(&FAR);
            sector[at + 4] = part.kind;
            sector[at + 5..at + 8].copy_from_slice(&FAR);
            sector[at + 8..at + 12].copy_from_slice(&short(extent.start));
            sector[at + 12..at + 16].copy_from_slice(&short(extent.len));
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        device.write_at(0, &sector)
    }
}
