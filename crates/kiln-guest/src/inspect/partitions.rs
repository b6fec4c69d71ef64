// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where in an image a file system may begin.
//!
//! Source: UEFI 2.10, 5.3.2 (header at the second sector: `EFI PART`, first sector of the entries
//! at byte 72, their number at 80, their size at 84; an entry's first and last sector at 32 and
//! 40); for the MBR, four entries of 16 bytes from byte 446 on, first sector and count at 8 and
//! 12. Sectors of 512 bytes only: images of disks have no others.

use kiln_disk::device::Device;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// The most entries that are looked at; every tool makes 128.
const MOST: u32 = 128;

/// Returns the places (start and length in bytes) that may hold a root file system: the whole
/// disk first, then the partitions, biggest first.
pub(super) fn candidates(device: &mut dyn Device) -> Vec<(u64, u64)> {
    let size = device.size();
    let mut found = gpt(device).or_else(|| mbr(device)).unwrap_or_default();
    found.retain(|(start, length)| {
        *length > 0 && start.checked_add(*length).is_some_and(|end| end <= size)
    });
    found.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    found.insert(0, (0, size));
    found
}

fn gpt(device: &mut dyn Device) -> Option<Vec<(u64, u64)>> {
    let mut header = [0; 92];
    device.read_at(SECTOR, &mut header).ok()?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let first = u64_at(&header, 72)?.checked_mul(SECTOR)?;
    let count = u32_at(&header, 80)?.min(MOST);
    let each = u64::from(u32_at(&header, 84)?);
    if each < 128 {
        return None;
    }
    let mut found = Vec::new();
    for n in 0..u64::from(count) {
        let mut entry = [0; 128];
        device.read_at(first.checked_add(n.checked_mul(each)?)?, &mut entry).ok()?;
        if entry[..16] != [0; 16] {
            let (from, last) = (u64_at(&entry, 32)?, u64_at(&entry, 40)?);
            let sectors = last.checked_sub(from).and_then(|n| n.checked_add(1)).unwrap_or(0);
            found.push((from.saturating_mul(SECTOR), sectors.saturating_mul(SECTOR)));
        }
    }
    Some(found)
}

fn mbr(device: &mut dyn Device) -> Option<Vec<(u64, u64)>> {
    let mut sector = [0; 512];
    device.read_at(0, &mut sector).ok()?;
    if !sector.ends_with(&[0x55, 0xaa]) {
        return None;
    }
    (0..4)
        .map(|n| {
            let at = 446 + 16 * n;
            let (from, count) = (u32_at(&sector, at + 8)?, u32_at(&sector, at + 12)?);
            Some((u64::from(from) * SECTOR, u64::from(count) * SECTOR))
        })
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
