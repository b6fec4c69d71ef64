// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The journal's own superblock.
//!
//! Source: `struct journal_superblock_s` in Linux, include/linux/jbd2.h; numbers are big-endian.

use super::super::ExtError;
use super::super::raw::crc32c;
use super::{Head, MAGIC, failed, refused};
use crate::device::Device;

/// Bytes of it.
const LEN: usize = 1024;
/// Where its checksum stands.
const CHECKSUM: usize = 0xfc;
/// `JBD2_FEATURE_INCOMPAT_*`: REVOKE, 64BIT, ASYNC_COMMIT, CSUM_V2, CSUM_V3, FAST_COMMIT.
const KNOWN: u32 = 0x3f;
/// `JBD2_DEFAULT_FAST_COMMIT_BLOCKS`.
const FAST_COMMIT_BLOCKS: u32 = 256;
/// `JBD2_CRC32C_CHKSUM`.
const CRC32C: u8 = 4;

/// How blocks of the journal are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sums {
    /// Not at all.
    None,
    /// By one sum of all blocks of a transaction, in its commit block.
    Transaction,
    /// Each block by its own, 16 bits of it for data.
    V2,
    /// Each block by its own.
    V3,
}

impl Sums {
    /// Returns whether blocks have sums of their own.
    pub(super) fn each(self) -> bool {
        matches!(self, Self::V2 | Self::V3)
    }
}

/// What the superblock says.
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    bytes: Vec<u8>,
    /// Blocks of the journal that are used for anything.
    pub(super) len: u32,
    /// The first block of the log.
    pub(super) first: u32,
    /// The block after the log: fast commits, or the end.
    pub(super) last: u32,
    /// The number of the first transaction in the log.
    pub(super) sequence: u32,
    /// Where that begins; 0 if there is none.
    pub(super) start: u32,
    /// The error that Linux noted, or 0.
    pub(super) error: u32,
    pub(super) sums: Sums,
    pub(super) wide: bool,
    pub(super) fast_commits: bool,
    /// What every checksum begins with.
    pub(super) seed: u32,
}

impl Superblock {
    /// Reads it from the block `at` of the device.
    pub(super) fn read(device: &mut dyn Device, at: u64, head: &Head) -> Result<Self, ExtError> {
        let mut bytes = vec![0; LEN];
        let read = device.read_at(at * head.block_size, &mut bytes);
        read.map_err(|source| failed("read the journal", source))?;
        let get = |at: usize| word(&bytes, at);
        let version = match (bytes.starts_with(&MAGIC), get(4)) {
            (true, 3) => 1,
            (true, 4) => 2,
            _ => return Err(refused("it has no superblock")),
        };
        let (compat, incompat) = if version == 1 { (0, 0) } else { (get(0x24), get(0x28)) };
        if incompat & !KNOWN != 0 {
            return Err(refused("it has unknown features"));
        }
        let sums = match (incompat & 0x8 != 0, incompat & 0x10 != 0, compat & 1 != 0) {
            (false, false, false) => Sums::None,
            (false, false, true) => Sums::Transaction,
            (true, false, false) => Sums::V2,
            (false, true, false) => Sums::V3,
            _ => return Err(refused("it has two kinds of checksums")),
        };
        let fast_commits = incompat & 0x20 != 0;
        let fast_len = match get(0x54) {
            _ if !fast_commits => 0,
            0 => FAST_COMMIT_BLOCKS,
            len => len,
        };
        let (len, first, start) = (get(0x10), get(0x14), get(0x1c));
        let last = len.checked_sub(fast_len).filter(|&last| first > 0 && first < last);
        let last = last.filter(|&last| start == 0 || (first..last).contains(&start));
        let (Some(last), true) = (last, u64::from(get(0x0c)) == head.block_size) else {
            return Err(refused("its superblock contradicts itself"));
        };
        let seed = crc32c(u32::MAX, &bytes[0x30..0x40]);
        let (sequence, error) = (get(0x18), get(0x20));
        let wide = incompat & 0x2 != 0;
        let mut superblock = Self {
            bytes,
            len,
            first,
            last,
            sequence,
            start,
            error,
            sums,
            wide,
            fast_commits,
            seed,
        };
        if sums.each() {
            let stored = word(&superblock.bytes, CHECKSUM);
            if superblock.bytes[0x50] != CRC32C || superblock.sum() != stored {
                return Err(refused("its superblock has a wrong checksum"));
            }
        }
        Ok(superblock)
    }

    fn sum(&mut self) -> u32 {
        let stored: Vec<u8> = self.bytes[CHECKSUM..CHECKSUM + 4].to_vec();
        self.bytes[CHECKSUM..CHECKSUM + 4].fill(0);
        let sum = crc32c(u32::MAX, &self.bytes);
        self.bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&stored);
        sum
    }

    /// Writes to block `at` of the device that nothing is to be replayed, and that the next
    /// transaction is `sequence`.
    pub(super) fn empty(
        &mut self,
        device: &mut dyn Device,
        at: u64,
        sequence: u32,
    ) -> Result<(), ExtError> {
        self.bytes[0x18..0x1c].copy_from_slice(&sequence.to_be_bytes());
        self.bytes[0x1c..0x20].fill(0);
        if self.sums.each() {
            let sum = self.sum();
            self.bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
        }
        let block = u64::from(word(&self.bytes, 0x0c));
        let written = device.write_at(at * block, &self.bytes).and_then(|()| device.flush());
        written.map_err(|source| failed("empty the journal", source))
    }
}

/// Returns the number at a place of a block.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
