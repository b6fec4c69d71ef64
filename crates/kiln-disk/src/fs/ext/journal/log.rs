// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The log: a ring of transactions, each of descriptor blocks with the data they describe, blocks
//! that revoke others, and a commit block.
//!
//! Source: `do_one_pass` in Linux, fs/jbd2/recovery.c, and include/linux/jbd2.h; the part of fast
//! commits in fs/ext4/fast_commit.h. Numbers are big-endian, those of fast commits little-endian.

use std::collections::BTreeMap;

use super::super::ExtError;
use super::super::raw::{crc32_be, crc32c};
use super::superblock::{Sums, Superblock, word};
use super::{Blocks, Copied, Head, MAGIC, failed, refused};
use crate::device::Device;

const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKE: u32 = 5;
/// Bytes of the header that each of these blocks has.
const HEADER: usize = 12;
/// Flags of a tag: the first bytes were [`MAGIC`]; no UUID follows; it is the last one.
const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST_TAG: u32 = 8;
/// The most revoked blocks: more than a journal of 1 GiB of an honest file system has.
const MOST_REVOKED: usize = 4 << 20;
/// `EXT4_FC_TAG_HEAD`.
const FAST_HEAD: [u8; 2] = [9, 0];

/// One block that a descriptor describes.
struct Tag {
    block: u64,
    flags: u32,
    sum: u32,
}

/// A block of the log that is no data.
struct Entry {
    /// Where it is.
    at: u32,
    kind: u32,
    sequence: u32,
    bytes: Vec<u8>,
}

pub(super) struct Log<'a> {
    device: &'a mut dyn Device,
    superblock: &'a Superblock,
    places: &'a [u64],
    head: &'a Head,
}

impl<'a> Log<'a> {
    pub(super) fn new(
        device: &'a mut dyn Device,
        superblock: &'a Superblock,
        places: &'a [u64],
        head: &'a Head,
    ) -> Self {
        Self { device, superblock, places, head }
    }

    fn place(&self, at: u32) -> u64 {
        let index = usize::try_from(at).expect("32 bits fit");
        self.places[index]
    }

    fn read(&mut self, at: u32) -> Result<Vec<u8>, ExtError> {
        let len = usize::try_from(self.head.block_size).expect("a block has at most 64 KiB");
        let mut bytes = vec![0; len];
        let read = self.device.read_at(self.place(at) * self.head.block_size, &mut bytes);
        read.map_err(|source| failed("read the journal", source))?;
        Ok(bytes)
    }

    /// Returns the block `count` after `at` in the ring.
    fn after(&self, at: u32, count: usize) -> u32 {
        let ring = u64::from(self.superblock.last - self.superblock.first);
        let from = u64::from(at - self.superblock.first);
        let into = (from + u64::try_from(count).unwrap_or(0)) % ring;
        u32::try_from(into).expect("less than the ring") + self.superblock.first
    }

    /// Returns the block at `at` if it belongs to transaction `sequence`.
    fn entry(&mut self, at: u32, sequence: u32) -> Result<Option<Entry>, ExtError> {
        let bytes = self.read(at)?;
        let kind = word(&bytes, 4);
        let known = matches!(kind, DESCRIPTOR | COMMIT | REVOKE);
        let ours = bytes.starts_with(&MAGIC) && word(&bytes, 8) == sequence;
        Ok((ours && known).then_some(Entry { at, kind, sequence, bytes }))
    }

    /// Returns the number of the first transaction that was not committed.
    ///
    /// A commit block with a wrong checksum is one left from long ago if it is older than the one
    /// before it; otherwise the journal is damaged.
    pub(super) fn scan(&mut self) -> Result<u32, ExtError> {
        let (mut at, mut sequence) = (self.superblock.start, self.superblock.sequence);
        let (mut visited, mut newest, mut doubtful) = (0, 0, false);
        let mut sum = u32::MAX;
        while let Some(entry) = self.entry(at, sequence)? {
            let mut data = 0;
            match entry.kind {
                COMMIT => {
                    let seconds = commit_seconds(&entry.bytes);
                    let good = !doubtful && self.commit_is_good(&entry, sum);
                    if !good && (self.superblock.sums == Sums::Transaction || seconds < newest) {
                        break;
                    }
                    if !good {
                        return Err(refused("a commit block has a wrong checksum"));
                    }
                    newest = seconds;
                    sequence = sequence.wrapping_add(1);
                    sum = u32::MAX;
                }
                kind => {
                    doubtful |= !self.tail_is_good(&entry);
                    if kind == DESCRIPTOR {
                        data = self.tags(&entry.bytes).len();
                        self.add_to_sum(&mut sum, &entry, data)?;
                    }
                }
            }
            at = self.after(at, 1 + data);
            visited += 1 + data;
            if u64::try_from(visited).unwrap_or(u64::MAX) > u64::from(self.superblock.len) {
                return Err(refused("its log has no end"));
            }
        }
        self.check_fast_commits(sequence)?;
        Ok(sequence)
    }

    /// Returns where the newest contents of each block stand, of the transactions before `end`.
    pub(super) fn replay(&mut self, end: u32) -> Result<Blocks, ExtError> {
        let revoked = self.revoked(end)?;
        let mut blocks = Blocks::new();
        self.each(end, |log, entry| {
            if entry.kind != DESCRIPTOR {
                return Ok(());
            }
            for (index, tag) in log.tags(&entry.bytes).into_iter().enumerate() {
                let at = log.after(entry.at, 1 + index);
                // Revoked by the same transaction or a later one.
                let gone = revoked.get(&tag.block).is_some_and(|&by| !later(entry.sequence, by));
                if gone {
                    continue;
                }
                if tag.block >= log.head.blocks {
                    return Err(refused("it has blocks that the file system has not"));
                }
                let bytes = log.read(at)?;
                if !log.data_is_good(&tag, entry.sequence, &bytes) {
                    return Err(refused("a block of it has a wrong checksum"));
                }
                let copied = Copied { block: log.place(at), escaped: tag.flags & ESCAPED != 0 };
                blocks.insert(tag.block, copied);
            }
            Ok(())
        })?;
        Ok(blocks)
    }

    /// Returns the last transaction that revoked each block.
    fn revoked(&mut self, end: u32) -> Result<BTreeMap<u64, u32>, ExtError> {
        let mut revoked: BTreeMap<u64, u32> = BTreeMap::new();
        self.each(end, |log, entry| {
            if entry.kind != REVOKE {
                return Ok(());
            }
            let (len, tail) = (if log.superblock.wide { 8 } else { 4 }, log.tail());
            // Bytes used, with the 16 of the header.
            let used = usize::try_from(word(&entry.bytes, HEADER)).unwrap_or(usize::MAX);
            if used > entry.bytes.len() - tail || revoked.len() > MOST_REVOKED {
                return Err(refused("it revokes too much"));
            }
            for record in entry.bytes[16..used.max(16)].chunks_exact(len) {
                let block = record.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
                let last = revoked.entry(block).or_insert(entry.sequence);
                if later(entry.sequence, *last) {
                    *last = entry.sequence;
                }
            }
            Ok(())
        })?;
        Ok(revoked)
    }

    /// Calls `on` with each descriptor and revoke block of the transactions before `end`.
    fn each(
        &mut self,
        end: u32,
        mut on: impl FnMut(&mut Self, &Entry) -> Result<(), ExtError>,
    ) -> Result<(), ExtError> {
        let (mut at, mut sequence) = (self.superblock.start, self.superblock.sequence);
        while sequence != end {
            // `scan` has seen that they are there.
            let entry = self.entry(at, sequence)?.ok_or_else(|| refused("its log changes"))?;
            let mut data = 0;
            match entry.kind {
                COMMIT => sequence = sequence.wrapping_add(1),
                kind => {
                    if !self.tail_is_good(&entry) {
                        return Err(refused("a block of it has a wrong checksum"));
                    }
                    if kind == DESCRIPTOR {
                        data = self.tags(&entry.bytes).len();
                    }
                    on(self, &entry)?;
                }
            }
            at = self.after(at, 1 + data);
        }
        Ok(())
    }

    /// Returns the bytes at the end of a block that hold its checksum.
    fn tail(&self) -> usize {
        if self.superblock.sums.each() { 4 } else { 0 }
    }

    /// Returns what a descriptor block describes, in order: `journal_block_tag_t` or
    /// `journal_block_tag3_t`.
    fn tags(&self, bytes: &[u8]) -> Vec<Tag> {
        let len = match (self.superblock.sums, self.superblock.wide) {
            (Sums::V3, _) => 16,
            (Sums::V2, true) => 14,
            (Sums::V2, false) => 10,
            (_, true) => 12,
            (_, false) => 8,
        };
        let end = bytes.len() - self.tail();
        let mut tags = Vec::new();
        let mut at = HEADER;
        while at + len <= end {
            let low = u64::from(word(bytes, at));
            let half = |at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            let (flags, sum) = if self.superblock.sums == Sums::V3 {
                (word(bytes, at + 4), word(bytes, at + 12))
            } else {
                (half(at + 6), half(at + 4))
            };
            let high = if self.superblock.wide { u64::from(word(bytes, at + 8)) << 32 } else { 0 };
            tags.push(Tag { block: low | high, flags, sum });
            at += len + if flags & SAME_UUID == 0 { 16 } else { 0 };
            if flags & LAST_TAG != 0 {
                break;
            }
        }
        tags
    }

    /// Returns whether the checksum at the end of a descriptor or revoke block is right.
    fn tail_is_good(&self, entry: &Entry) -> bool {
        if !self.superblock.sums.each() {
            return true;
        }
        let at = entry.bytes.len() - 4;
        let sum = crc32c(self.superblock.seed, &entry.bytes[..at]);
        crc32c(sum, &[0; 4]) == word(&entry.bytes, at)
    }

    /// Returns whether the checksum of a block of data is right.
    fn data_is_good(&self, tag: &Tag, sequence: u32, bytes: &[u8]) -> bool {
        let sum = crc32c(crc32c(self.superblock.seed, &sequence.to_be_bytes()), bytes);
        match self.superblock.sums {
            Sums::V3 => sum == tag.sum,
            Sums::V2 => sum & 0xffff == tag.sum,
            _ => true,
        }
    }

    /// Returns whether the checksum in a commit block is right; `sum` is that of the transaction.
    fn commit_is_good(&self, entry: &Entry, sum: u32) -> bool {
        // `struct commit_header`: h_chksum_type, h_chksum_size, and h_chksum at 0x10.
        const CRC32: u8 = 1;
        let stored = word(&entry.bytes, 0x10);
        match self.superblock.sums {
            Sums::None => true,
            Sums::Transaction => match (entry.bytes[0x0c], entry.bytes[0x0d], stored) {
                (CRC32, 4, stored) => stored == sum,
                (0, 0, 0) => true,
                _ => false,
            },
            Sums::V2 | Sums::V3 => {
                let mut bytes = entry.bytes.clone();
                bytes[0x10..0x14].fill(0);
                crc32c(self.superblock.seed, &bytes) == stored
            }
        }
    }

    /// Adds a descriptor and its data to the sum of a transaction.
    fn add_to_sum(&mut self, sum: &mut u32, entry: &Entry, data: usize) -> Result<(), ExtError> {
        if self.superblock.sums != Sums::Transaction {
            return Ok(());
        }
        *sum = crc32_be(*sum, &entry.bytes);
        for index in 0..data {
            let bytes = self.read(self.after(entry.at, 1 + index))?;
            *sum = crc32_be(*sum, &bytes);
        }
        Ok(())
    }

    /// Refuses a journal with fast commits after the last transaction: they are no blocks, but
    /// orders.
    fn check_fast_commits(&mut self, sequence: u32) -> Result<(), ExtError> {
        if !self.superblock.fast_commits || self.superblock.last >= self.superblock.len {
            return Ok(());
        }
        // `struct ext4_fc_tl`, then `struct ext4_fc_head`: features, number of the transaction.
        let bytes = self.read(self.superblock.last)?;
        if bytes[..2] == FAST_HEAD && bytes[8..12] == sequence.to_le_bytes() {
            return Err(refused("it holds fast commits, which only Linux and e2fsck can replay"));
        }
        Ok(())
    }
}

/// Returns whether transaction `a` came after `b`: the numbers wrap.
fn later(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// Returns when a transaction was committed: `h_commit_sec`.
fn commit_seconds(bytes: &[u8]) -> u64 {
    u64::from(word(bytes, 0x30)) << 32 | u64::from(word(bytes, 0x34))
}
