// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The superblock that libext2fs holds, and sums over the group descriptors.
#![expect(unsafe_code, reason = "the superblock is in libext2fs's memory")]

use super::super::ffi;
use super::{Raw, crc32c};

impl Raw {
    /// Returns the block size in bytes.
    pub(in super::super) fn block_size(&self) -> usize {
        // SAFETY: see the invariant.
        let size = unsafe { (*self.fs).blocksize };
        usize::try_from(size).expect("a block has at most 64 KiB")
    }

    /// Returns the block size in bytes, as file offsets have it.
    pub(in super::super) fn block64(&self) -> u64 {
        u64::try_from(self.block_size()).expect("a block has at most 64 KiB")
    }

    /// Returns 4 bytes of the superblock.
    pub(in super::super) fn super32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.super_bytes(at))
    }

    /// Returns the first inode that is not reserved.
    pub(in super::super) fn first_inode(&self) -> u32 {
        // Revision 0 has no such number.
        if self.super32(0x4c) == 0 { 11 } else { self.super32(0x54) }
    }

    /// Returns what checksums of metadata begin with: `ext2fs_init_csum_seed`.
    pub(in super::super) fn checksum_seed(&self) -> u32 {
        const CSUM_SEED: u32 = 0x2000;
        if self.super32(0x60) & CSUM_SEED != 0 {
            return self.super32(0x270);
        }
        let uuid: [u8; 16] = self.super_bytes(0x68);
        crc32c(u32::MAX, &uuid)
    }

    /// Returns whether an inode is marked as used. The file system must be open for writing.
    pub(in super::super) fn inode_in_use(&self, ino: u32) -> bool {
        // SAFETY: the map is there once `read_bitmaps` was called, and null otherwise; the
        // function checks the number.
        unsafe {
            let map = (*self.fs).inode_map;
            !map.is_null() && ffi::ext2fs_test_generic_bmap(map, u64::from(ino)) != 0
        }
    }

    /// Returns how many blocks are free.
    pub(in super::super) fn free_blocks(&self) -> u64 {
        self.wide(0x0c, 0x158)
    }

    /// Returns how many blocks and inodes are free by what the groups say: Linux writes those
    /// two sums into the superblock only now and then.
    pub(in super::super) fn free_by_groups(&self) -> (u64, u32) {
        // s_log_cluster_size and s_log_block_size: groups count clusters.
        let ratio = self.super32(0x1c).saturating_sub(self.super32(0x18)).min(32);
        let (mut clusters, mut inodes) = (0_u64, 0_u32);
        // SAFETY: see the invariant; group numbers are below the count.
        unsafe {
            for group in 0..(*self.fs).group_desc_count {
                let free = u64::from(ffi::ext2fs_bg_free_blocks_count(self.fs, group));
                clusters = clusters.saturating_add(free);
                let free = ffi::ext2fs_bg_free_inodes_count(self.fs, group);
                inodes = inodes.saturating_add(free);
            }
        }
        (clusters.saturating_mul(1 << ratio), inodes)
    }

    /// Makes the checksums of the group descriptors anew: they are made of the UUID.
    pub(in super::super) fn set_group_checksums(&mut self) {
        // SAFETY: see the invariant; group numbers are below the count.
        unsafe {
            for group in 0..(*self.fs).group_desc_count {
                ffi::ext2fs_group_desc_csum_set(self.fs, group);
            }
            (*self.fs).flags |= ffi::FLAG_DIRTY;
        }
    }

    /// Makes the sums in the superblock those of the groups.
    pub(in super::super) fn sum_groups(&mut self) {
        let (blocks, inodes) = self.free_by_groups();
        let low = u32::try_from(blocks & 0xffff_ffff).expect("masked");
        self.set_super32(0x0c, low);
        if let (true, Ok(high)) = (self.super32(0x60) & 0x80 != 0, u32::try_from(blocks >> 32)) {
            self.set_super32(0x158, high);
        }
        self.set_super32(0x10, inodes);
    }

    /// Returns a count of blocks, whose high half only file systems of "64bit" have.
    pub(in super::super) fn wide(&self, low: usize, high: usize) -> u64 {
        const FEATURE_64BIT: u32 = 0x80;
        let high = if self.super32(0x60) & FEATURE_64BIT == 0 { 0 } else { self.super32(high) };
        u64::from(self.super32(low)) | u64::from(high) << 32
    }

    /// Returns bytes of the superblock.
    pub(in super::super) fn super_bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        // SAFETY: the superblock has 1024 bytes; the slice index checks `at`.
        let bytes = unsafe { (&(*(*self.fs).superblock))[at..at + N].try_into() };
        bytes.expect("as many bytes as were asked for")
    }

    /// Returns 2 bytes of the superblock.
    pub(in super::super) fn super16(&self, at: usize) -> u16 {
        let bytes = self.super32(at & !3).to_le_bytes();
        u16::from_le_bytes([bytes[at & 3], bytes[(at & 3) + 1]])
    }

    /// Sets 4 bytes of the superblock.
    pub(in super::super) fn set_super32(&mut self, at: usize, value: u32) {
        // SAFETY: the superblock has 1024 bytes; the slice index checks `at`.
        unsafe {
            (&mut (*(*self.fs).superblock))[at..at + 4].copy_from_slice(&value.to_le_bytes());
            (*self.fs).flags |= ffi::FLAG_DIRTY;
        }
    }
}
