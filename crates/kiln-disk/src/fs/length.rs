// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long a file system says it is, to tell one that is cut off.
//!
//! Source: the descriptions of the formats; places are those that libblkid of util-linux reads.

use std::io;

use super::ContentKind;
use crate::device::Device;
use crate::le::{u16_at, u32_at, u64_at};

/// Bytes of the beginning of a file system in which its length stands.
const HEAD: usize = 36 << 10;

/// Returns how many bytes the file system on `device`, which is of this kind, says it has; `None`
/// if that is not known.
///
/// # Errors
///
/// What the device says.
pub fn length(device: &mut dyn Device, kind: ContentKind) -> io::Result<Option<u64>> {
    let len = usize::try_from(device.size()).unwrap_or(HEAD).min(HEAD);
    // What a small device lacks are zeros: no file system has a length of 0.
    let mut head = vec![0; HEAD];
    device.read_at(0, &mut head[..len])?;
    let len = match kind {
        ContentKind::Ext2 | ContentKind::Ext3 | ContentKind::Ext4 => ext(&head),
        ContentKind::Vfat { .. } => fat(&head),
        ContentKind::Ntfs => ntfs(&head),
        ContentKind::Xfs => xfs(&head),
        ContentKind::Iso9660 => iso(&head),
        _ => None,
    };
    Ok(len.filter(|len| *len > 0))
}

/// `s_blocks_count_lo`, `s_log_block_size`, and `s_blocks_count_hi` with the feature 64bit.
fn ext(head: &[u8]) -> Option<u64> {
    const WIDE: u32 = 0x80;
    let block = &head[1024..];
    let high = if u32_at(block, 96) & WIDE == 0 { 0 } else { u32_at(block, 336) };
    let size = 1024_u64.checked_shl(u32_at(block, 24))?;
    (u64::from(high) << 32 | u64::from(u32_at(block, 4))).checked_mul(size)
}

/// Sectors in 16 bits, or if those are zeros in 32.
fn fat(head: &[u8]) -> Option<u64> {
    let sectors = match u16_at(head, 19) {
        0 => u32_at(head, 32),
        short => short.into(),
    };
    u64::from(sectors).checked_mul(u16_at(head, 11).into())
}

/// Sectors without the one at the end, which is a copy of the first.
fn ntfs(head: &[u8]) -> Option<u64> {
    u64_at(head, 40).checked_mul(u16_at(head, 11).into())
}

/// `sb_blocksize` and `sb_dblocks`, whose high bytes come first.
fn xfs(head: &[u8]) -> Option<u64> {
    u64_at(head, 8).swap_bytes().checked_mul(u32_at(head, 4).swap_bytes().into())
}

/// The space of the primary volume descriptor, in its blocks.
fn iso(head: &[u8]) -> Option<u64> {
    let volume = &head[32 << 10..];
    u64::from(u32_at(volume, 80)).checked_mul(u16_at(volume, 128).into())
}
