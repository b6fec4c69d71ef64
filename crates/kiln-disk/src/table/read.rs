// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The partition table of any disk.

use kiln_spec::Bytes;
use uuid::Uuid;

use super::error::{Note, TableError};
use super::gpt::GptDisk;
use super::kind::PartitionKind;
use super::mbr::{self, Place};
use crate::device::Device;

/// The partition table of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    /// Which kind it is; `None` if there is none: an empty disk, or one file system on all of it.
    pub kind: Option<TableKind>,
    /// Bytes of a sector, as the table counts them: 512 or 4096.
    pub sector: u64,
    /// The disk's own number.
    pub id: Option<DiskId>,
    /// The partitions in the order of their numbers.
    pub partitions: Vec<Partition>,
    /// What is odd about it.
    pub notes: Vec<Note>,
    /// Where the space for partitions ends, in bytes from the disk's beginning.
    pub end: u64,
    /// What the table itself needs at the disk's end, in bytes.
    pub reserved: u64,
}

/// A kind of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// A GUID partition table.
    Gpt,
    /// A table of the old kind.
    Mbr,
}

impl TableKind {
    /// Returns the name that `sfdisk` and libvirt have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "dos",
        }
    }
}

/// A disk's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskId {
    /// Of a GPT.
    Gpt(Uuid),
    /// Of an MBR; often 0.
    Mbr(u32),
}

/// A partition. It lies within its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number as Linux counts: an entry's place from 1 on; logical ones from 5 on.
    pub number: u32,
    /// Its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What it is for.
    pub kind: PartitionKind,
    /// Its own number in a GPT.
    pub uuid: Option<Uuid>,
    /// Its name in a GPT; else empty.
    pub name: String,
    /// The attributes of a GPT's entry, or the first byte of an MBR's.
    pub flags: u64,
    /// Whether firmware of the old kind boots from it.
    pub bootable: bool,
}

impl Partition {
    /// Returns where it ends, exclusive.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Returns whether it is in an extended partition: its kind of table is an MBR, and its
    /// number is above 4.
    #[must_use]
    pub fn is_logical(&self) -> bool {
        matches!(self.kind, PartitionKind::Mbr(_)) && self.number > 4
    }
}

/// Reads the partition table of `device`.
///
/// What is taken is what Linux takes: a GPT only with a protective MBR before it (a hybrid one
/// counts), an MBR only if its four entries can be ones. A GPT whose first copy is damaged is
/// read from the one at the end. What Linux does not take: the GPT of a disk that has been cut off;
/// it is read as far as the disk goes ([`Note::CutOff`]), so that what is there can be saved.
///
/// # Effects
///
/// Reads at most some MiB; writes nothing.
///
/// # Errors
///
/// - [`TableError::Io`] if the device cannot be read.
/// - [`TableError::Gpt`] if there is a GPT, and neither copy is whole.
/// - [`TableError::Chain`] if a chain of logical partitions leads back or does not end.
pub fn read(device: &mut dyn Device) -> Result<PartitionTable, TableError> {
    load(device).map(Loaded::into_table)
}

/// A table with what is needed to change it.
#[derive(Debug)]
pub(super) enum Loaded {
    Gpt(Box<GptDisk>, PartitionTable),
    Mbr(Vec<(Partition, Place)>, PartitionTable),
    None(PartitionTable),
}

impl Loaded {
    fn into_table(self) -> PartitionTable {
        match self {
            Self::Gpt(_, table) | Self::Mbr(_, table) | Self::None(table) => table,
        }
    }
}

pub(super) fn load(device: &mut dyn Device) -> Result<Loaded, TableError> {
    let size = device.size() / mbr::SECTOR * mbr::SECTOR;
    let mut table = PartitionTable {
        kind: None,
        sector: mbr::SECTOR,
        id: None,
        partitions: Vec::new(),
        notes: Vec::new(),
        end: size,
        reserved: 0,
    };
    let Some(first) = mbr::sector(device, 0)? else { return Ok(Loaded::None(table)) };
    if mbr::is_protective(&first) {
        let missing = || TableError::Gpt {
            primary: "it is not there".to_owned(),
            backup: "it is not there".to_owned(),
        };
        let disk = GptDisk::load(device)?.ok_or_else(missing)?;
        table.kind = Some(TableKind::Gpt);
        (table.sector, table.id) = (disk.sector, Some(DiskId::Gpt(disk.id())));
        table.notes.clone_from(&disk.notes);
        if mbr::is_hybrid(&first) {
            table.notes.push(Note::Hybrid);
        }
        (table.end, table.reserved) = (disk.end(), disk.reserved());
        table.partitions = disk.partitions(&mut table.notes);
        note_overlaps(&mut table);
        return Ok(Loaded::Gpt(Box::new(disk), table));
    }
    if gpt_without_mbr(device)? {
        table.notes.push(Note::NoProtectiveMbr);
    }
    if !mbr::is_table(&first) {
        return Ok(Loaded::None(table));
    }
    let found = mbr::partitions(device, &first, &mut table.notes)?;
    if found.is_empty() && is_file_system(&first) {
        return Ok(Loaded::None(table));
    }
    (table.kind, table.id) = (Some(TableKind::Mbr), Some(DiskId::Mbr(mbr::disk_id(&first))));
    table.partitions = found.iter().map(|(partition, _)| partition.clone()).collect();
    note_overlaps(&mut table);
    Ok(Loaded::Mbr(found, table))
}

/// Returns whether something calls itself the header of a GPT.
fn gpt_without_mbr(device: &mut dyn Device) -> Result<bool, TableError> {
    let second = mbr::sector(device, 1)?;
    Ok(second.is_some_and(|sector| sector.starts_with(b"EFI PART")))
}

/// Returns whether the boot sector of a file system is here: FAT, exFAT or NTFS. They have the
/// signature of an MBR, and zeros where its entries would be.
fn is_file_system(first: &mbr::Sector) -> bool {
    let jump = first[0] == 0xeb || first[0] == 0xe9;
    let exfat = &first[3..11] == b"EXFAT   " || &first[3..11] == b"NTFS    ";
    let fats = (1..=2).contains(&first[16]) && (first[21] >= 0xf8 || first[21] == 0xf0);
    jump && (exfat || fats)
}

fn note_overlaps(table: &mut PartitionTable) {
    let mut order: Vec<&Partition> =
        table.partitions.iter().filter(|partition| !partition.kind.is_extended()).collect();
    order.sort_by_key(|partition| partition.start);
    let mut furthest: Option<&Partition> = None;
    let mut found = Vec::new();
    for partition in order {
        if let Some(before) = furthest.filter(|before| before.end() > partition.start) {
            found.push(Note::Overlap { first: before.number, second: partition.number });
        }
        if furthest.is_none_or(|before| before.end() < partition.end()) {
            furthest = Some(partition);
        }
    }
    table.notes.extend(found);
}

impl PartitionTable {
    /// Returns the partition with this number.
    #[must_use]
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.number == number)
    }

    /// Returns the number of a partition as Linux has it in `PARTUUID=`.
    #[must_use]
    pub fn partuuid(&self, partition: &Partition) -> Option<String> {
        match (self.id?, partition.uuid) {
            (DiskId::Gpt(_), uuid) => uuid.map(|uuid| uuid.to_string()),
            (DiskId::Mbr(0), _) => None,
            (DiskId::Mbr(id), _) => Some(format!("{id:08x}-{:02x}", partition.number)),
        }
    }

    /// Returns the greatest length that partition `number` can have where it is, when the space
    /// for partitions ends at `end`: up to the next partition. `None` if there is no such
    /// partition.
    #[must_use]
    pub fn room(&self, number: u32, end: u64) -> Option<Bytes> {
        let partition = self.partition(number)?;
        let end = end.max(partition.end());
        // An entry of an MBR counts sectors in 32 bits.
        let end = match partition.kind {
            PartitionKind::Mbr(_) => end.min((partition.start).saturating_add(self.most())),
            PartitionKind::Gpt(_) => end,
        };
        let others = self.partitions.iter().filter(|other| {
            // An extended partition may grow with what is in it; a logical one begins behind
            // the sector that leads to it.
            other.number != number && !(other.kind.is_extended() && partition.is_logical())
        });
        let next = others
            .map(|other| {
                other.start.saturating_sub(if other.is_logical() { self.sector } else { 0 })
            })
            .filter(|start| *start >= partition.end())
            .min();
        Some(Bytes(next.unwrap_or(end).min(end) - partition.start))
    }

    fn most(&self) -> u64 {
        u64::from(u32::MAX) * self.sector
    }
}
