// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other sizes of partitions and disks.
//!
//! No partition gets another number, begin or name, and what is not understood stays as it is.

use kiln_spec::Bytes;

use super::error::TableError;
use super::mbr;
use super::read::{Loaded, PartitionTable, load};
use crate::device::Device;

/// Gives partition `number` another length, where it is.
///
/// # Effects
///
/// Writes the table: of a GPT both copies, the one at the end to the end of `device`, so a damaged
/// copy is mended; of an MBR the partition's entry, for a logical one with the link to it, and
/// the extended partition's when that must grow. What is in the partition is not looked at:
/// shrink a file system first, grow it after.
///
/// # Errors
///
/// - As [`super::read::read`].
/// - [`TableError::NoTable`] or [`TableError::NoPartition`].
/// - [`TableError::Extended`] for an extended partition.
/// - [`TableError::Size`] if `len` is 0 or no whole number of sectors.
/// - [`TableError::NoRoom`] if another partition or the disk's end is in the way.
/// - [`TableError::DiskTooSmall`] or [`TableError::NoTableRoom`] if the disk has been cut off, so
///   that the copy of a GPT has no place.
pub fn resize_partition(device: &mut dyn Device, number: u32, len: u64) -> Result<(), TableError> {
    let loaded = load(device)?;
    let size = device.size();
    match loaded {
        Loaded::None(_) => Err(TableError::NoTable),
        Loaded::Gpt(disk, _) if disk.short => Err(TableError::NoTableRoom { size: Bytes(size) }),
        Loaded::Gpt(mut disk, table) => {
            let end = disk.end_on(size).ok_or(TableError::NoTableRoom { size: Bytes(size) })?;
            let new_end = check(&table, number, len, end)?;
            fits(&table, number, size, end)?;
            disk.set_end(number, new_end);
            disk.write(device, size)
        }
        Loaded::Mbr(found, table) => {
            let new_end = check(&table, number, len, table.end)?;
            mbr::set_end(device, &found, number, new_end)?;
            device.flush().map_err(TableError::writing)
        }
    }
}

/// Checks that a partition can have a length, and returns where it ends then.
fn check(table: &PartitionTable, number: u32, len: u64, end: u64) -> Result<u64, TableError> {
    let partition = table.partition(number).ok_or(TableError::NoPartition { number })?;
    if partition.kind.is_extended() {
        return Err(TableError::Extended { number });
    }
    let (asked, sector) = (Bytes(len), table.sector);
    if len == 0 || !len.is_multiple_of(sector) {
        return Err(TableError::Size { number, asked, sector });
    }
    let most = table.room(number, end).unwrap_or(Bytes(partition.len));
    // It may keep or lose what it has, whatever is around it.
    if len > most.0 && len > partition.len {
        return Err(TableError::NoRoom { number, asked, most });
    }
    Ok(partition.start + len)
}

/// Checks that no partition but `except` goes on beyond `end` on a disk of `size` bytes.
fn fits(table: &PartitionTable, except: u32, size: u64, end: u64) -> Result<(), TableError> {
    let beyond = table.partitions.iter().find(|p| p.number != except && p.end() > end);
    let Some(partition) = beyond else { return Ok(()) };
    let own = Bytes(partition.end() + size.saturating_sub(end));
    Err(TableError::DiskTooSmall { size: Bytes(size), number: partition.number, end: own })
}

/// Fits the table to a disk of `size` bytes. To grow a disk make the device longer and then call
/// this; to shrink one, call this and then cut it off.
///
/// # Effects
///
/// Moves the second copy of a GPT to the end and sets the length of the protective entry. An MBR
/// does not name the disk's end: only an extended partition with nothing beyond the end is cut off
/// there.
///
/// # Errors
///
/// - As [`super::read::read`].
/// - [`TableError::DiskTooSmall`] if a partition would go on beyond the end.
/// - [`TableError::NoTableRoom`] if not even the table would fit.
pub fn set_disk_size(device: &mut dyn Device, size: u64) -> Result<(), TableError> {
    match load(device)? {
        Loaded::None(_) => Ok(()),
        Loaded::Gpt(disk, _) if disk.short => Err(TableError::NoTableRoom { size: Bytes(size) }),
        Loaded::Gpt(mut disk, table) => {
            let end = disk.end_on(size).ok_or(TableError::NoTableRoom { size: Bytes(size) })?;
            fits(&table, 0, size, end)?;
            disk.write(device, size)
        }
        Loaded::Mbr(found, mut table) => {
            let end = size / table.sector * table.sector;
            let extended = table.partitions.iter().find(|p| p.kind.is_extended() && p.end() > end);
            let extended = extended.map(|partition| (partition.number, partition.start));
            table.partitions.retain(|partition| !partition.kind.is_extended());
            fits(&table, 0, size, size)?;
            if let Some((number, _)) = extended.filter(|(_, start)| *start < end) {
                mbr::set_end(device, &found, number, end)?;
                device.flush().map_err(TableError::writing)?;
            }
            Ok(())
        }
    }
}
