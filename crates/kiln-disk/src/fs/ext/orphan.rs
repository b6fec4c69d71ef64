// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Inodes that a crash left half done: files without a name that were still open, and files that
//! were being cut off. Linux keeps them in a list from the superblock through the inodes, or in a
//! file of their own, and settles them at the next mount.
//!
//! Source: `release_orphan_inodes` in e2fsprogs, e2fsck/super.c, and fs/ext4/orphan.c of Linux.

use std::collections::BTreeSet;

use super::inode::Kind;
use super::raw::crc32c;
use super::{ExtError, ExtFs};

/// `s_last_orphan`, `s_feature_ro_compat`, `s_orphan_file_inum`, `s_inodes_count`.
const LAST_ORPHAN: usize = 0xe8;
const RO_COMPAT: usize = 0x64;
const ORPHAN_FILE: usize = 0x280;
const INODES: usize = 0x00;
/// `EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT`: the orphan file is not empty.
const ORPHAN_PRESENT: u32 = 0x1_0000;
/// `EXT4_FEATURE_RO_COMPAT_METADATA_CSUM`.
const METADATA_CSUM: u32 = 0x400;
/// `EXT4_ORPHAN_BLOCK_MAGIC`, in the last 8 bytes of a block, before its checksum.
const MAGIC: [u8; 4] = 0x0b10_ca04_u32.to_le_bytes();
/// The most blocks of an orphan file: `EXT4_MAX_ORPHAN_FILE_BLOCKS`.
const MOST_BLOCKS: u64 = 512;

impl ExtFs {
    /// Settles all of them: what has no name is freed, what has one is cut off at its length.
    pub(super) fn settle_orphans(&mut self) -> Result<(), ExtError> {
        let mut seen = BTreeSet::new();
        let mut ino = self.raw.super32(LAST_ORPHAN);
        while ino != 0 {
            let next = self.orphan(ino, &mut seen)?;
            ino = next;
        }
        if !seen.is_empty() {
            self.raw.set_super32(LAST_ORPHAN, 0);
        }
        let features = self.raw.super32(RO_COMPAT);
        if features & ORPHAN_PRESENT != 0 {
            self.settle_orphan_file(&mut seen)?;
            self.raw.set_super32(RO_COMPAT, features & !ORPHAN_PRESENT);
        }
        Ok(())
    }

    /// Settles one inode and returns what follows it in the list.
    fn orphan(&mut self, ino: u32, seen: &mut BTreeSet<u32>) -> Result<u32, ExtError> {
        let damaged = ExtError::Damaged { inode: ino, what: "in the list of orphans, wrongly" };
        let first = self.raw.first_inode();
        if ino < first || ino > self.raw.super32(INODES) || !seen.insert(ino) {
            return Err(damaged);
        }
        let mut inode = self.raw.read_inode(ino)?;
        let next = inode.deleted();
        if !self.raw.inode_in_use(ino) {
            return Err(damaged);
        }
        if inode.links() == 0 {
            self.free_node(ino)?;
            return Ok(next);
        }
        if inode.kind() == Some(Kind::File) && inode.has_blocks() {
            let len = inode.size();
            self.cut(ino, &mut inode, len)?;
        }
        inode.clear_deleted();
        self.raw.write_inode(ino, &mut inode)?;
        Ok(next)
    }

    fn settle_orphan_file(&mut self, seen: &mut BTreeSet<u32>) -> Result<(), ExtError> {
        let file = self.raw.super32(ORPHAN_FILE);
        let damaged = || ExtError::Damaged { inode: file, what: "no file of orphans" };
        let mut inode = self.raw.read_inode(file)?;
        let len = self.raw.block_size();
        let count = inode.size() / self.raw.block64();
        if inode.kind() != Some(Kind::File) || count > MOST_BLOCKS {
            return Err(damaged());
        }
        for index in 0..count {
            let block = self.raw.map(file, &mut inode, index)?.ok_or_else(damaged)?.block;
            let mut bytes = vec![0; len];
            self.raw.read_blocks(block, 0, &mut bytes)?;
            if bytes[len - 8..len - 4] != MAGIC {
                return Err(damaged());
            }
            let numbers: Vec<u32> = bytes[..len - 8]
                .chunks_exact(4)
                .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .filter(|&ino| ino != 0)
                .collect();
            if numbers.is_empty() {
                continue;
            }
            for ino in numbers {
                self.orphan(ino, seen)?;
            }
            bytes[..len - 8].fill(0);
            if self.raw.super32(RO_COMPAT) & METADATA_CSUM != 0 {
                let sum = [
                    &file.to_le_bytes()[..],
                    &inode.generation().to_le_bytes(),
                    &block.to_le_bytes(),
                    &bytes[..len - 8],
                ]
                .iter()
                .fold(self.raw.checksum_seed(), |sum, part| crc32c(sum, part));
                bytes[len - 4..].copy_from_slice(&sum.to_le_bytes());
            }
            self.raw.write_block(block, 0, &bytes)?;
        }
        Ok(())
    }
}
