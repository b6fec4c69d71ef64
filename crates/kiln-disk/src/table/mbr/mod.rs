// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tables of the old kind: four entries in the first sector, and chains of logical partitions.
//!
//! Source: what Linux takes (`block/partitions/msdos.c`) and how `sfdisk` numbers it. An entry
//! has 16 bytes: 0x80 if it is booted from, three bytes of its first sector's old address, the
//! type, three bytes of its last sector's, its first sector, its number of sectors. Sectors have
//! 512 bytes.

mod edit;
pub mod plan;

use super::error::{Note, TableError};
use super::kind::PartitionKind;
use super::read::Partition;
use crate::device::Device;
use crate::le::u32_at;

pub(super) use edit::set_end;

/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;
/// Where the entries begin in a sector.
const ENTRIES: usize = 446;
/// Bytes of an entry.
const ENTRY: usize = 16;
/// Where the disk's number is.
const DISK_ID: usize = 440;
/// The most logical partitions that are looked at: Linux has 256 partitions on a disk at most.
const MOST_LOGICAL: usize = 252;

/// The sector with a table, or with a link of the chain.
pub(super) type Sector = [u8; 512];

/// One of the four entries of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    bootable: bool,
    kind: u8,
    /// In sectors; counted from the disk's beginning, or from what the chain says.
    start: u64,
    /// In sectors.
    len: u64,
}

impl Entry {
    fn of(sector: &Sector, n: usize) -> Self {
        let at = ENTRIES + n * ENTRY;
        Self {
            bootable: sector[at] & 0x80 != 0,
            kind: sector[at + 4],
            start: u64::from(u32_at(sector, at + 8)),
            len: u64::from(u32_at(sector, at + 12)),
        }
    }

    fn all(sector: &Sector) -> [Self; 4] {
        [0, 1, 2, 3].map(|n| Self::of(sector, n))
    }

    fn is_extended(self) -> bool {
        PartitionKind::Mbr(self.kind).is_extended()
    }
}

/// Returns whether a sector is signed as one with a table or with boot code.
pub(super) fn is_signed(sector: &Sector) -> bool {
    sector[510..] == [0x55, 0xaa]
}

/// Returns whether the four entries can be ones: the first byte of each is 0 or 0x80. Where a
/// file system begins there is code or text in them.
pub(super) fn is_table(sector: &Sector) -> bool {
    is_signed(sector) && (0..4).all(|n| sector[ENTRIES + n * ENTRY] & 0x7f == 0)
}

/// Returns whether an entry stands for a GPT.
pub(super) fn is_protective(sector: &Sector) -> bool {
    is_signed(sector)
        && Entry::all(sector).iter().any(|entry| entry.kind == 0xee && entry.start == 1)
}

/// Returns whether there are partitions besides the one that stands for a GPT.
pub(super) fn is_hybrid(sector: &Sector) -> bool {
    Entry::all(sector).iter().any(|entry| entry.kind != 0xee && entry.kind != 0 && entry.len > 0)
}

/// Returns whether there is no entry: the sector is blank, or has boot code at most.
pub(super) fn is_empty(sector: &Sector) -> bool {
    !is_signed(sector) || sector[ENTRIES..ENTRIES + 4 * ENTRY].iter().all(|&byte| byte == 0)
}

/// Writes the entry that stands for a GPT into an MBR without entries. The boot code stays.
pub(super) fn protect(device: &mut dyn Device, sectors: u64) -> Result<(), TableError> {
    let Some(mut first) = sector(device, 0)? else { return Ok(()) };
    // UEFI 2.10, table 5.4: addresses of the old kind for the second sector and for "too far".
    let mut entry = [0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0];
    let len = u32::try_from(sectors.saturating_sub(1)).unwrap_or(u32::MAX);
    entry[12..].copy_from_slice(&len.to_le_bytes());
    first[ENTRIES..].fill(0);
    first[ENTRIES..ENTRIES + ENTRY].copy_from_slice(&entry);
    first[510..].copy_from_slice(&[0x55, 0xaa]);
    device.write_at(0, &first).map_err(TableError::writing)
}

/// Returns the disk's number.
pub(super) fn disk_id(sector: &Sector) -> u32 {
    u32_at(sector, DISK_ID)
}

/// Reads a sector of `device`; `None` if it has no such sector.
pub(super) fn sector(device: &mut dyn Device, lba: u64) -> Result<Option<Sector>, TableError> {
    let mut bytes = [0; 512];
    if lba >= device.size() / SECTOR {
        return Ok(None);
    }
    device.read_at(lba * SECTOR, &mut bytes).map_err(TableError::reading)?;
    Ok(Some(bytes))
}

/// Where the entry of a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The sector with the entry.
    sector: u64,
    /// Which of its four.
    entry: usize,
    /// The sector that the entry counts from.
    base: u64,
    /// Number of the extended partition that it is in.
    within: Option<u32>,
}

/// Reads the partitions of the table in `first`, the disk's first sector.
pub(super) fn partitions(
    device: &mut dyn Device,
    first: &Sector,
    notes: &mut Vec<Note>,
) -> Result<Vec<(Partition, Place)>, TableError> {
    let mut found = Vec::new();
    let mut numbers = 5..;
    for (number, n) in (1..).zip(0..4) {
        let entry = Entry::of(first, n);
        if entry.len > 0 {
            let place = Place { sector: 0, entry: n, base: 0, within: None };
            add(device.size(), (number, entry), place, notes, &mut found);
        }
    }
    for (number, entry) in (1..).zip(Entry::all(first)) {
        if entry.len > 0 && entry.is_extended() {
            chain(device, (number, entry), &mut numbers, notes, &mut found)?;
        }
    }
    Ok(found)
}

/// Adds a partition that lies on the disk, as far as it does.
fn add(
    size: u64,
    (number, entry): (u32, Entry),
    place: Place,
    notes: &mut Vec<Note>,
    found: &mut Vec<(Partition, Place)>,
) {
    let start = (place.base + entry.start) * SECTOR;
    let Some(room) = (size / SECTOR * SECTOR).checked_sub(start).filter(|room| *room > 0) else {
        notes.push(Note::Ignored { number });
        return;
    };
    if entry.len * SECTOR > room {
        notes.push(Note::CutOff { number });
    }
    let partition = Partition {
        number,
        start,
        len: room.min(entry.len * SECTOR),
        kind: PartitionKind::Mbr(entry.kind),
        uuid: None,
        name: String::new(),
        flags: if entry.bootable { 0x80 } else { 0 },
        bootable: entry.bootable,
    };
    found.push((partition, place));
}

/// Follows the chain of an extended partition. Each link is a sector with one partition, counted
/// from that sector, and the next link, counted from the chain's beginning.
fn chain(
    device: &mut dyn Device,
    (within, extended): (u32, Entry),
    numbers: &mut std::ops::RangeFrom<u32>,
    notes: &mut Vec<Note>,
    found: &mut Vec<(Partition, Place)>,
) -> Result<(), TableError> {
    let mut seen = Vec::new();
    let mut next = Some(extended.start);
    while let Some(at) = next {
        if seen.contains(&at) {
            let what = format!("it leads back to sector {at}");
            return Err(TableError::Chain { what });
        }
        seen.push(at);
        if seen.len() > MOST_LOGICAL {
            let what = format!("it has more than {MOST_LOGICAL} links");
            return Err(TableError::Chain { what });
        }
        let link = sector(device, at)?.filter(is_signed);
        let Some(link) = link else {
            notes.push(Note::ChainEnds { sector: at });
            return Ok(());
        };
        next = None;
        // The third and fourth entry are for nothing.
        for n in 0..2 {
            let entry = Entry::of(&link, n);
            if entry.len == 0 {
                continue;
            }
            if entry.is_extended() {
                next = next.or(Some(extended.start + entry.start));
            } else if let Some(number) = numbers.next() {
                let place = Place { sector: at, entry: n, base: at, within: Some(within) };
                add(device.size(), (number, entry), place, notes, found);
            }
        }
    }
    Ok(())
}
