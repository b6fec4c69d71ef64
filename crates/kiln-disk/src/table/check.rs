// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a partition table is in order, and mending what can be mended without a guess: a copy
//! of a GUID partition table from the other one, its place, and the protective MBR before it.
//!
//! What the partitions are is never changed: of two that overlap nobody can say which is right.

use super::error::{Note, TableError};
use super::gpt::GptDisk;
use super::mbr;
use super::read::{Loaded, PartitionTable, load};
use crate::device::Device;

/// What is known of a disk's partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The table; `None` if it cannot be read at all.
    pub table: Option<PartitionTable>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// Whether [`mend`] mends it.
    pub mendable: bool,
}

/// Looks for all that is wrong with the partition table of `device`.
///
/// # Effects
///
/// Reads at most some MiB; writes nothing.
///
/// # Errors
///
/// [`TableError::Io`]; that the table is damaged is none.
pub fn check(device: &mut dyn Device) -> Result<Checked, TableError> {
    let loaded = match load(device) {
        Ok(loaded) => loaded,
        Err(error @ TableError::Io { .. }) => return Err(error),
        Err(error) => {
            let finding = Finding { what: error.to_string(), mendable: false };
            return Ok(Checked { table: None, findings: vec![finding] });
        }
    };
    let mut findings = Vec::new();
    let (copies, table) = match loaded {
        Loaded::Gpt(disk, table) => {
            beyond(&disk, &table, &mut findings);
            (disk.can_write(device.size(), &table.partitions), table)
        }
        Loaded::Mbr(_, table) | Loaded::None(table) => (false, table),
    };
    for note in &table.notes {
        let mendable = match note {
            // Odd, but meant so.
            Note::Hybrid => continue,
            Note::PrimaryDamaged { .. } | Note::BackupDamaged { .. } | Note::BackupNotAtEnd => {
                copies
            }
            Note::NoProtectiveMbr => protectable(device)?.is_some(),
            Note::Overlap { .. }
            | Note::CutOff { .. }
            | Note::Ignored { .. }
            | Note::ChainEnds { .. } => false,
        };
        findings.push(Finding { what: note.to_string(), mendable });
    }
    Ok(Checked { table: Some(table), findings })
}

/// Finds partitions that lie where the table itself, or its copy, is to be.
fn beyond(disk: &GptDisk, table: &PartitionTable, findings: &mut Vec<Finding>) {
    if disk.short {
        // Where the disk ends says nothing of the table.
        return;
    }
    let space = disk.begin()..disk.end();
    for partition in &table.partitions {
        if partition.start < space.start || partition.end() > space.end {
            let number = partition.number;
            let what = format!("partition {number} is not within the space for partitions");
            findings.push(Finding { what, mendable: false });
        }
    }
}

/// Mends what [`check`] says can be mended. No partition gets another number, place or size.
///
/// # Errors
///
/// [`TableError`].
pub fn mend(device: &mut dyn Device) -> Result<(), TableError> {
    match load(device)? {
        Loaded::Gpt(mut disk, table) => {
            let size = device.size();
            let copy = |note: &Note| {
                matches!(
                    note,
                    Note::PrimaryDamaged { .. } | Note::BackupDamaged { .. } | Note::BackupNotAtEnd
                )
            };
            if table.notes.iter().any(copy) && disk.can_write(size, &table.partitions) {
                disk.write(device, size)?;
            }
        }
        Loaded::Mbr(..) | Loaded::None(_) => {
            if let Some(sectors) = protectable(device)? {
                mbr::protect(device, sectors)?;
                // A copy that is damaged, too, can be seen only now.
                return mend(device);
            }
        }
    }
    Ok(())
}

/// Returns how many sectors a protective MBR is to stand for: of a disk with nothing in its MBR and
/// a GUID partition table whose first copy is whole. Where a file system was made over an old
/// table, it is not.
fn protectable(device: &mut dyn Device) -> Result<Option<u64>, TableError> {
    let empty = mbr::sector(device, 0)?.is_some_and(|first| mbr::is_empty(&first));
    if !empty {
        return Ok(None);
    }
    let damaged = |note: &Note| matches!(note, Note::PrimaryDamaged { .. });
    let disk = GptDisk::load(device)?.filter(|disk| !disk.notes.iter().any(damaged));
    Ok(disk.map(|disk| device.size() / disk.sector))
}
