// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Other lengths of the partitions of an MBR.
//!
//! A logical partition is named three times: by its own entry, by the link to its sector, whose
//! length is up to the partition's end, and by the extended partition around it. All three are
//! kept in step; the extended partition grows when it must, and never shrinks.

use super::{ENTRIES, ENTRY, Entry, Place, SECTOR, Sector, sector};
use crate::device::Device;
use crate::table::error::TableError;
use crate::table::read::Partition;

/// Heads and sectors of the geometry that every tool assumes.
const HEADS: u64 = 255;
const PER_TRACK: u64 = 63;
/// The first cylinder that has no address.
const CYLINDERS: u64 = 1024;

/// Writes that the partition `number` ends at byte `end`. That it has the room is the caller's to
/// know.
pub(in crate::table) fn set_end(
    device: &mut dyn Device,
    partitions: &[(Partition, Place)],
    number: u32,
    end: u64,
) -> Result<(), TableError> {
    let find = |number| partitions.iter().find(|(partition, _)| partition.number == number);
    let (_, place) = find(number).ok_or(TableError::NoPartition { number })?;
    let end = end / SECTOR;
    let Some((extended, outer)) = place.within.and_then(find) else {
        return write_end(device, (place.sector, place.entry), place.base, end);
    };
    // The outermost first: cut off in between, nothing lies outside of what is around it.
    if end * SECTOR > extended.start + extended.len {
        write_end(device, (outer.sector, outer.entry), 0, end)?;
    }
    let base = extended.start / SECTOR;
    if let Some(link) = link_to(device, base, place.sector)? {
        write_end(device, link, base, end)?;
    }
    write_end(device, (place.sector, place.entry), place.base, end)
}

/// Returns the sector and entry that lead to the link in sector `to`; `None` for the first link.
fn link_to(
    device: &mut dyn Device,
    base: u64,
    to: u64,
) -> Result<Option<(u64, usize)>, TableError> {
    let mut at = base;
    // The chain was followed to its end before.
    while at != to {
        let Some(here) = sector(device, at)? else { return Ok(None) };
        let next = (0..2).find(|n| {
            let entry = Entry::of(&here, *n);
            entry.len > 0 && entry.is_extended()
        });
        let Some(n) = next else { return Ok(None) };
        let there = base + Entry::of(&here, n).start;
        if there == to {
            return Ok(Some((at, n)));
        }
        at = there;
    }
    Ok(None)
}

/// Writes that the entry `place`, which counts from `base`, ends at sector `end`, exclusive.
fn write_end(
    device: &mut dyn Device,
    place: (u64, usize),
    base: u64,
    end: u64,
) -> Result<(), TableError> {
    let Some(mut bytes) = sector(device, place.0)? else { return Ok(()) };
    let start = base + Entry::of(&bytes, place.1).start;
    let len = u32::try_from(end - start).expect("the caller has looked that it fits");
    let at = ENTRIES + place.1 * ENTRY;
    bytes[at + 5..at + 8].copy_from_slice(&address(end - 1));
    bytes[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    write(device, place.0, &bytes)
}

fn write(device: &mut dyn Device, lba: u64, bytes: &Sector) -> Result<(), TableError> {
    device.write_at(lba * SECTOR, bytes).map_err(TableError::writing)
}

/// Returns the old address (head, sector, cylinder) of a sector; the largest one if it has none.
fn address(lba: u64) -> [u8; 3] {
    let (cylinder, rest) = (lba / (HEADS * PER_TRACK), lba % (HEADS * PER_TRACK));
    if cylinder >= CYLINDERS {
        return [0xfe, 0xff, 0xff];
    }
    let (head, sector) = (rest / PER_TRACK, rest % PER_TRACK + 1);
    let low = |n: u64| u8::try_from(n & 0xff).expect("eight bits fit eight bits");
    [low(head), low(sector | (cylinder >> 8) << 6), low(cylinder)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_sfdisk() {
        // sfdisk 2.38.1, a partition of sectors 2048 to 206847, and one beyond 8 GiB.
        assert_eq!(address(2048), [0x20, 0x21, 0x00]);
        assert_eq!(address(206_847), [0xdf, 0x13, 0x0c]);
        assert_eq!(address(40 << 21), [0xfe, 0xff, 0xff]);
    }
}
