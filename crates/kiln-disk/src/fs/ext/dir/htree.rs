// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hashed directories: an index from hashes of names to the blocks that hold them.
//!
//! Block 0 is the root of the index, and looks to those who do not know of it like a block with
//! `.` and `..` alone. An entry is a hash and a block; hashes from it up to the next one stand
//! there. The lowest bit of a hash says that names of the same hash stand in the block before, too.
//!
//! Source: Documentation/filesystems/ext4/directory.rst of Linux, "Hash Tree Directories";
//! `dx_probe` in fs/ext4/namei.c.

use super::block::{Found, Shape, rec_len};

/// Where the entries begin in the root, and in a block below it.
const ROOT_AT: usize = 32;
const NODE_AT: usize = 8;
/// Bytes of an entry, and of the checksum after the last.
const ENTRY: usize = 8;
const TAIL: usize = 8;
/// The most levels below the root: 2 with `large_dir`.
const MOST_LEVELS: u8 = 2;

/// How names are hashed: `s_def_hash_version` with `EXT2_FLAGS_UNSIGNED_HASH`, and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fs::ext) struct Hashing {
    /// The number in the root of an index.
    pub(in crate::fs::ext) version: u8,
    /// Whether bytes of names are unsigned.
    pub(in crate::fs::ext) unsigned: bool,
    pub(in crate::fs::ext) seed: [u32; 4],
}

/// A leaf of the index: the first hash, without its lowest bit, and the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) hash: u32,
    pub(super) block: u32,
}

/// What a root block says of the tree below it.
pub(super) struct Root {
    pub(super) version: u8,
    pub(super) levels: u8,
    pub(super) below: Vec<Leaf>,
}

fn word(block: &[u8], at: usize) -> Option<u32> {
    let bytes = block.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

/// Returns the index entries of a block; they begin at `at`.
fn below(block: &[u8], at: usize) -> Option<Vec<Leaf>> {
    let counts = word(block, at)?;
    let (limit, count) = (counts & 0xffff, counts >> 16);
    let count = usize::try_from(count).ok()?;
    if count == 0 || count > usize::try_from(limit).ok()? {
        return None;
    }
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        let at = at + index * ENTRY;
        // The first stands for everything before the second.
        let hash = if index == 0 { 0 } else { word(block, at)? };
        all.push(Leaf { hash, block: word(block, at + 4)? & 0x0fff_ffff });
    }
    Some(all)
}

/// Reads block 0 of a hashed directory.
pub(super) fn root(block: &[u8]) -> Option<Root> {
    let info = block.get(24..ROOT_AT)?;
    let (version, len, levels) = (info[4], info[5], info[6]);
    if version > 2 || len != 8 || levels > MOST_LEVELS {
        return None;
    }
    Some(Root { version, levels, below: below(block, ROOT_AT)? })
}

/// Reads a block of the index below the root.
pub(super) fn node(block: &[u8]) -> Option<Vec<Leaf>> {
    below(block, NODE_AT)
}

/// Returns the block for names of this hash. `leaves` are sorted, and there is one.
pub(super) fn find(leaves: &[Leaf], hash: u32) -> Option<u32> {
    let after = leaves.partition_point(|leaf| leaf.hash <= hash);
    leaves.get(after.checked_sub(1)?).map(|leaf| leaf.block)
}

/// A directory as it is to be: its own inode, its parent's, and how it is hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) own: [Found<'static>; 2],
    pub(super) shape: Shape,
    pub(super) version: u8,
}

impl Plan {
    /// Returns all blocks of a hashed directory: the root, the leaves, and between them in the
    /// tree what comes last. `None` if there are too many entries for two levels.
    ///
    /// `entries` are sorted by their hash.
    pub(super) fn blocks(self, entries: &[(u32, Found<'_>)]) -> Option<Vec<Vec<u8>>> {
        let mut all = vec![Vec::new()];
        let mut leaves = Vec::new();
        let room = self.shape.room();
        // What is left free, so that the next name finds room.
        let full = room - room / 8;
        let mut start = 0;
        while start < entries.len() {
            let mut used = 0;
            let mut end = start;
            while let Some((_, entry)) = entries.get(end) {
                let len = super::block::size_of(entry.name);
                if used + len > room || (used > 0 && used + len > full) {
                    break;
                }
                used += len;
                end += 1;
            }
            let hash = entries[start].0;
            let continued = start > 0 && entries[start - 1].0 == hash;
            let hash = if start == 0 { 0 } else { hash | u32::from(continued) };
            leaves.push(Leaf { hash, block: u32::try_from(all.len()).ok()? });
            all.push(self.shape.block_of(entries[start..end].iter().map(|(_, entry)| *entry)));
            start = end;
        }
        let mut levels = 0;
        if leaves.len() > self.limit(ROOT_AT) {
            levels = 1;
            let parts: Vec<Vec<Leaf>> =
                leaves.chunks(self.limit(NODE_AT)).map(<[Leaf]>::to_vec).collect();
            leaves.clear();
            for part in parts {
                let hash = part[0].hash;
                leaves.push(Leaf { hash, block: u32::try_from(all.len()).ok()? });
                all.push(self.node(&part));
            }
        }
        if leaves.len() > self.limit(ROOT_AT) {
            return None;
        }
        all[0] = self.root(levels, &leaves);
        Some(all)
    }

    /// Returns how many entries fit a block in which they begin at `at`.
    fn limit(self, at: usize) -> usize {
        (self.shape.block - at - if self.shape.tail > 0 { TAIL } else { 0 }) / ENTRY
    }

    fn root(self, levels: u8, leaves: &[Leaf]) -> Vec<u8> {
        let dots = Shape { tail: 0, ..self.shape };
        let mut block = dots.block_of(self.own.into_iter());
        block[24..ROOT_AT].copy_from_slice(&[0, 0, 0, 0, self.version, 8, levels, 0]);
        self.put(&mut block, ROOT_AT, leaves);
        block
    }

    fn node(self, leaves: &[Leaf]) -> Vec<u8> {
        let mut block = vec![0; self.shape.block];
        block[4..6].copy_from_slice(&rec_len(self.shape.block));
        self.put(&mut block, NODE_AT, leaves);
        block
    }

    fn put(self, block: &mut [u8], at: usize, leaves: &[Leaf]) {
        for (leaf, to) in leaves.iter().zip(block[at..].chunks_exact_mut(ENTRY)) {
            to[..4].copy_from_slice(&leaf.hash.to_le_bytes());
            to[4..].copy_from_slice(&leaf.block.to_le_bytes());
        }
        let half = |n: usize| u16::try_from(n).expect("at most 8192 entries").to_le_bytes();
        block[at..at + 2].copy_from_slice(&half(self.limit(at)));
        block[at + 2..at + 4].copy_from_slice(&half(leaves.len()));
    }
}
