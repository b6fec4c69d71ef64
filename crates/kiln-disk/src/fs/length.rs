// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long a file system says it is, to tell one that is cut off.
//!
//! Source: the descriptions of the formats; places are those that libblkid of util-linux reads.

use std::io;

use super::ContentKind;
use crate::device::Device;

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
    let mut head = vec![0; len];
    device.read_at(0, &mut head)?;
    Ok(match kind {
        ContentKind::Ext2 | ContentKind::Ext3 | ContentKind::Ext4 => ext(&head),
        ContentKind::Vfat { .. } => fat(&head),
        ContentKind::Ntfs => ntfs(&head),
        ContentKind::Xfs => xfs(&head),
        ContentKind::Iso9660 => iso(&head),
        _ => None,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(|field| u16::from_le_bytes(field).into())
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(|field| u32::from_le_bytes(field).into())
}

/// `s_blocks_count_lo`, `s_log_block_size`, and `s_blocks_count_hi` with the feature 64bit.
fn ext(head: &[u8]) -> Option<u64> {
    const WIDE: u64 = 0x80;
    let block = head.get(1024..)?;
    let high = if u32_le(block, 96)? & WIDE == 0 { 0 } else { u32_le(block, 336)? };
    let size = 1024_u64.checked_shl(u32::try_from(u32_le(block, 24)?).ok()?)?;
    (high << 32 | u32_le(block, 4)?).checked_mul(size)
}

/// Sectors in 16 bits, or if those are zeros in 32.
fn fat(head: &[u8]) -> Option<u64> {
    let sectors = match u16_le(head, 19)? {
        0 => u32_le(head, 32)?,
        short => short,
    };
    sectors.checked_mul(u16_le(head, 11)?)
}

/// Sectors without the one at the end, which is a copy of the first.
fn ntfs(head: &[u8]) -> Option<u64> {
    let sectors = u64::from_le_bytes(field(head, 40)?);
    sectors.checked_mul(u16_le(head, 11)?)
}

/// `sb_blocksize` and `sb_dblocks`.
fn xfs(head: &[u8]) -> Option<u64> {
    let size = u32::from_be_bytes(field(head, 4)?);
    u64::from_be_bytes(field(head, 8)?).checked_mul(size.into())
}

/// The space of the primary volume descriptor, in its blocks.
fn iso(head: &[u8]) -> Option<u64> {
    let volume = head.get(32 << 10..)?;
    u32_le(volume, 80)?.checked_mul(u16_le(volume, 128)?)
}
