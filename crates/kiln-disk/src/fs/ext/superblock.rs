// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What must be true of a superblock before libext2fs sees it: the library takes sizes from it
//! that it does not compare with those of its own buffers, and asks for memory by its counts.
//!
//! Source: `struct ext2_super_block` in `ext2fs/ext2_fs.h`; `ext2fs_initialize` and `ext2fs_open2`
//! of libext2fs 1.47.

use super::ExtError;
use super::cache::Cache;

/// Where it begins, and its length, in bytes.
const AT: u64 = 1024;
const LEN: usize = 1024;
/// The most bytes of group descriptors: those of 256 TiB in blocks of 4 KiB.
const MOST_DESCRIPTORS: u64 = 128 << 20;

/// The superblock as it is on the device.
struct Bytes([u8; LEN]);

impl Bytes {
    fn half(&self, at: usize) -> u64 {
        u64::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    fn word(&self, at: usize) -> u64 {
        self.half(at) | self.half(at + 2) << 16
    }

    /// Returns whether a bit of `s_feature_incompat` is set.
    fn incompat(&self, bit: u64) -> bool {
        self.word(0x60) & bit != 0
    }
}

/// Returns an error if libext2fs must not open what is on the device. That there is no ext file
/// system at all is for the library to say.
pub(super) fn check(cache: &mut Cache) -> Result<(), ExtError> {
    let size = cache.size();
    if size < AT + 1024 {
        return Ok(());
    }
    let mut bytes = Bytes([0; LEN]);
    let read = cache.read(AT, &mut bytes.0);
    read.map_err(|source| ExtError::Io { doing: "read the superblock", source })?;
    if bytes.half(0x38) != 0xef53 {
        return Ok(());
    }
    match wrong(&bytes, size) {
        Some(what) => Err(ExtError::Superblock { what }),
        None => Ok(()),
    }
}

fn wrong(sb: &Bytes, size: u64) -> Option<&'static str> {
    let (log_block, log_cluster) = (sb.word(0x18), sb.word(0x1c));
    if log_block > 6 || log_cluster > 20 {
        return Some("the size of its blocks cannot be");
    }
    let block = 1024_u64 << log_block;
    // Only where a block is 1 KiB, and no cluster larger, the superblock is in block 1.
    let first = u64::from(log_block == 0 && log_cluster == 0);
    if sb.word(0x14) != first {
        return Some("its first block cannot be the first");
    }
    let high = if sb.incompat(0x80) { sb.word(0x150) << 32 } else { 0 };
    let blocks = sb.word(0x04) | high;
    if blocks.checked_mul(block).is_none_or(|len| len > size) {
        return Some("it is longer than what holds it");
    }
    // One bit for each in one block.
    let bits = block * 8;
    let (clusters, inodes) = (sb.word(0x24), sb.word(0x28));
    if clusters == 0 || clusters > bits || inodes == 0 || inodes > bits || !inodes.is_multiple_of(8)
    {
        return Some("its groups are larger than their bitmaps");
    }
    let per_group = sb.word(0x20);
    if per_group == 0 || blocks <= first {
        return Some("it has no groups");
    }
    let descriptor = if sb.incompat(0x80) { sb.half(0xfe) } else { 32 };
    let groups = (blocks - first).div_ceil(per_group);
    if groups.saturating_mul(descriptor) > MOST_DESCRIPTORS {
        return Some("it has more groups than can be handled");
    }
    // s_rev_level: the first revision has no more than that.
    if sb.word(0x4c) == 0 {
        return None;
    }
    let inode = sb.half(0x58);
    if !inode.is_power_of_two() || inode < 128 || inode > block {
        return Some("the size of its inodes cannot be");
    }
    // s_min_extra_isize, s_want_extra_isize: libext2fs fills as much of an inode with zeros.
    if sb.half(0x15c).max(sb.half(0x15e)) > inode - 128 || !sb.half(0x15e).is_multiple_of(4) {
        return Some("its inodes are smaller than what they should hold");
    }
    if sb.word(0x54) < 11 || sb.word(0x54) > sb.word(0x00) {
        return Some("its first inode cannot be the first");
    }
    if sb.half(0xce) > block / 4 {
        return Some("it keeps too many blocks for more groups");
    }
    None
}
