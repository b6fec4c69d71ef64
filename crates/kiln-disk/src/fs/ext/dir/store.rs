// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writing directories.
//!
//! What still fits the blocks of a directory is put there; a hashed one stays hashed. When a name
//! finds no room, a plain directory gets another block, and any other is written anew.

use std::collections::{BTreeMap, BTreeSet};

use super::block::{Found, Shape, TAIL, size_of};
use super::htree::{self, Hashing, Leaf, Plan};
use super::{Dir, Entry, Form, NO_BLOCK};
use crate::fs::ext::inode::{INDEX_FL, INLINE_DATA_FL, Inode, Kind};
use crate::fs::ext::{ExtError, ExtFs};

/// `EXT4_FEATURE_RO_COMPAT_METADATA_CSUM`, `EXT4_FEATURE_INCOMPAT_FILETYPE`,
/// `EXT4_FEATURE_COMPAT_DIR_INDEX`.
const METADATA_CSUM: u32 = 0x400;
const FILETYPE: u32 = 0x2;
const DIR_INDEX: u32 = 0x20;
/// `EXT2_FLAGS_UNSIGNED_HASH` of `s_flags`.
const UNSIGNED_HASH: u32 = 0x2;

fn found<'a>((name, entry): (&'a Vec<u8>, &Entry)) -> Found<'a> {
    Found { inode: entry.inode, file_type: entry.file_type, name }
}

impl Dir {
    fn dots(&self, own: u32) -> [Found<'static>; 2] {
        let file_type = Kind::Directory.file_type();
        [
            Found { inode: own, file_type, name: b"." },
            Found { inode: self.parent, file_type, name: b".." },
        ]
    }

    /// Returns the blocks of an unhashed directory with all entries, and notes where they stand.
    fn plain(&mut self, own: u32, shape: Shape) -> Vec<Vec<u8>> {
        let mut used = 24;
        let mut at = 0;
        for (name, entry) in &mut self.entries {
            let len = size_of(name);
            if used + len > shape.room() {
                at += 1;
                used = 0;
            }
            used += len;
            entry.block = at;
        }
        let blocks = self.blocks(own, &(0..=at).collect(), true, shape);
        blocks.into_iter().map(|(_, block)| block).collect()
    }

    /// Returns these blocks; `plain` directories have the dots in block 0.
    fn blocks(
        &self,
        own: u32,
        which: &BTreeSet<u32>,
        plain: bool,
        shape: Shape,
    ) -> Vec<(u32, Vec<u8>)> {
        let mut all: BTreeMap<u32, Vec<Found<'_>>> =
            which.iter().map(|&at| (at, Vec::new())).collect();
        if let (true, Some(first)) = (plain, all.get_mut(&0)) {
            first.extend(self.dots(own));
        }
        for pair in &self.entries {
            if let Some(block) = all.get_mut(&pair.1.block) {
                block.push(found(pair));
            }
        }
        all.into_iter().map(|(at, entries)| (at, shape.block_of(entries.into_iter()))).collect()
    }

    /// Returns the bytes that are in use in each block.
    fn used(&self, count: u32, plain: bool) -> Vec<usize> {
        let mut used = vec![0; usize::try_from(count).unwrap_or(0)];
        if let (true, Some(first)) = (plain, used.first_mut()) {
            *first = 24;
        }
        for (name, entry) in self.entries.iter().filter(|(_, entry)| entry.block != NO_BLOCK) {
            if let Some(used) = usize::try_from(entry.block).ok().and_then(|at| used.get_mut(at)) {
                *used += size_of(name);
            }
        }
        used
    }

    /// Gives each new entry a block with room, of all or of those that `fits` allows for its
    /// name. `None` if one finds none.
    fn place(
        &mut self,
        used: &mut [usize],
        room: usize,
        fits: impl Fn(&[u8]) -> Option<u32>,
    ) -> Option<()> {
        let mut next = 0;
        for (name, entry) in self.entries.iter_mut().filter(|(_, e)| e.block == NO_BLOCK) {
            let len = size_of(name);
            let at = match fits(name) {
                Some(at) => usize::try_from(at).ok()?,
                None => {
                    // Names are of similar length: what was too full stays so.
                    next += used[next..].iter().position(|used| used + len <= room)?;
                    next
                }
            };
            let used = used.get_mut(at).filter(|used| **used + len <= room)?;
            *used += len;
            entry.block = u32::try_from(at).ok()?;
            self.stale.insert(entry.block);
        }
        Some(())
    }
}

impl ExtFs {
    /// Writes every changed directory.
    pub(in crate::fs::ext) fn write_dirs(&mut self) -> Result<(), ExtError> {
        let changed: Vec<u32> =
            self.dirs.iter().filter(|(_, dir)| dir.changed()).map(|(&ino, _)| ino).collect();
        for ino in changed {
            let mut dir = self.dirs.remove(&ino).expect("it is one of them");
            let written = self.write_dir(ino, &mut dir);
            self.dirs.insert(ino, dir);
            written?;
        }
        Ok(())
    }

    fn shape(&self) -> Shape {
        let tail = if self.raw.super32(0x64) & METADATA_CSUM == 0 { 0 } else { TAIL };
        let file_types = self.raw.super32(0x60) & FILETYPE != 0;
        Shape { block: self.raw.block_size(), tail, file_types }
    }

    fn write_dir(&mut self, ino: u32, dir: &mut Dir) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(ino)?;
        if inode.flags() & INLINE_DATA_FL != 0 {
            self.make_blocks_of_inline(ino, &mut inode)?;
        }
        let done = match dir.form {
            Form::None => false,
            Form::Blocks(count) if inode.flags() & INDEX_FL == 0 => {
                self.edit_plain(ino, &mut inode, dir, count)?
            }
            Form::Blocks(count) => self.edit_hashed(ino, &mut inode, dir, count)?,
        };
        if !done {
            self.write_anew(ino, &mut inode, dir)?;
        }
        dir.stale.clear();
        (dir.added, dir.moved) = (false, false);
        Ok(())
    }

    /// Writes the changed blocks of an unhashed directory. Returns whether that was enough.
    fn edit_plain(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        dir: &mut Dir,
        mut count: u32,
    ) -> Result<bool, ExtError> {
        let shape = self.shape();
        let mut used = dir.used(count, true);
        if dir.moved {
            dir.stale.insert(0);
        }
        while dir.place(&mut used, shape.room(), |_| None).is_none() {
            // Linux hashes a directory when it gets its second block.
            if count == 1 && self.hashing().is_some() {
                return Ok(false);
            }
            used.push(0);
            count += 1;
        }
        dir.form = Form::Blocks(count);
        self.grow(ino, inode, count)?;
        let blocks = dir.blocks(ino, &dir.stale, true, shape);
        self.put_blocks(ino, inode, blocks)?;
        Ok(true)
    }

    /// Writes the changed blocks of a hashed directory, if all new names find room where their
    /// hash leads. Returns whether that was so.
    fn edit_hashed(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        dir: &mut Dir,
        count: u32,
    ) -> Result<bool, ExtError> {
        let shape = self.shape();
        let Some((version, leaves)) = self.leaves(ino, inode, count)? else { return Ok(false) };
        let Some(hashing) = self.hashing() else { return Ok(false) };
        let hashing = Hashing { version, ..hashing };
        let known: BTreeSet<u32> = leaves.iter().map(|leaf| leaf.block).collect();
        if dir.entries.values().any(|e| e.block != NO_BLOCK && !known.contains(&e.block)) {
            return Ok(false);
        }
        if dir.added {
            let mut hashes = BTreeMap::new();
            for (name, _) in dir.entries.iter().filter(|(_, e)| e.block == NO_BLOCK) {
                hashes.insert(name.clone(), self.raw.hash(name, hashing)?);
            }
            let mut used = dir.used(count, false);
            let fits = |name: &[u8]| {
                // A block that is not there has no room.
                let block = hashes.get(name).and_then(|&hash| htree::find(&leaves, hash));
                Some(block.unwrap_or(NO_BLOCK))
            };
            if dir.place(&mut used, shape.room(), fits).is_none() {
                return Ok(false);
            }
        }
        let mut blocks = dir.blocks(ino, &dir.stale, false, shape);
        if dir.moved {
            let mut root = self.dir_block(ino, inode, 0)?;
            root[12..16].copy_from_slice(&dir.parent.to_le_bytes());
            blocks.push((0, root));
        }
        self.put_blocks(ino, inode, blocks)?;
        Ok(true)
    }

    /// Returns how a hashed directory is hashed and the leaves of its index, in order; `None` if
    /// that is not as it should be.
    fn leaves(
        &self,
        ino: u32,
        inode: &mut Inode,
        count: u32,
    ) -> Result<Option<(u8, Vec<Leaf>)>, ExtError> {
        let Some(root) = htree::root(&self.dir_block(ino, inode, 0)?) else { return Ok(None) };
        let mut leaves = root.below;
        for _ in 0..root.levels {
            let mut below = Vec::new();
            for leaf in &leaves {
                let inside =
                    leaf.block < count && below.len() <= usize::try_from(count).unwrap_or(0);
                if !inside {
                    return Ok(None);
                }
                let Some(mut next) = htree::node(&self.dir_block(ino, inode, leaf.block)?) else {
                    return Ok(None);
                };
                next[0].hash = leaf.hash;
                below.append(&mut next);
            }
            leaves = below;
        }
        let sorted = leaves.is_sorted_by_key(|leaf| leaf.hash);
        let inside = leaves.iter().all(|leaf| leaf.block > 0 && leaf.block < count);
        Ok((sorted && inside).then_some((root.version, leaves)))
    }

    /// Writes all blocks of a directory: hashed if there are several.
    fn write_anew(&mut self, ino: u32, inode: &mut Inode, dir: &mut Dir) -> Result<(), ExtError> {
        let shape = self.shape();
        let mut blocks = dir.plain(ino, shape);
        let mut flags = inode.flags() & !INDEX_FL;
        if let (true, Some(hashing)) = (blocks.len() > 1, self.hashing()) {
            let mut entries = Vec::with_capacity(dir.entries.len());
            for pair in &dir.entries {
                entries.push((self.raw.hash(pair.0, hashing)?, found(pair)));
            }
            // Names of one hash stay in their order: the sort is stable.
            entries.sort_by_key(|(hash, _)| *hash);
            let plan = Plan { own: dir.dots(ino), shape, version: hashing.version };
            if let Some(hashed) = plan.blocks(&entries) {
                blocks = hashed;
                flags |= INDEX_FL;
            }
        }
        let count = u32::try_from(blocks.len()).map_err(|_| ExtError::NoBlocks)?;
        inode.set_flags(flags);
        self.grow(ino, inode, count)?;
        if inode.size() > u64::from(count) * self.raw.block64() {
            self.raw.release(ino, inode, u64::from(count))?;
        }
        self.raw.set_size(inode, u64::from(count) * self.raw.block64())?;
        self.raw.write_inode(ino, inode)?;
        // Where the entries stand now is not remembered: the next change reads them again.
        dir.form = Form::None;
        self.put_blocks(ino, inode, (0..).zip(blocks).collect())
    }

    /// Makes a directory at least `count` blocks long.
    fn grow(&mut self, ino: u32, inode: &mut Inode, count: u32) -> Result<(), ExtError> {
        let (had, block) = (inode.size() / self.raw.block64(), self.raw.block64());
        let count = u64::from(count);
        if count > had {
            self.raw.allocate(ino, inode, had, count - had)?;
            self.raw.set_size(inode, count * block)?;
            self.raw.write_inode(ino, inode)?;
        }
        Ok(())
    }

    fn dir_block(&self, ino: u32, inode: &mut Inode, at: u32) -> Result<Vec<u8>, ExtError> {
        let hole = || ExtError::Damaged { inode: ino, what: "a directory with holes" };
        let mapped = self.raw.map(ino, inode, u64::from(at))?.ok_or_else(hole)?;
        self.raw.read_dir_block(ino, mapped.block)
    }

    fn put_blocks(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        blocks: Vec<(u32, Vec<u8>)>,
    ) -> Result<(), ExtError> {
        for (at, mut bytes) in blocks {
            let hole = || ExtError::Damaged { inode: ino, what: "a directory with holes" };
            let mapped = self.raw.map(ino, inode, u64::from(at))?.ok_or_else(hole)?;
            self.raw.write_dir_block(ino, mapped.block, &mut bytes)?;
        }
        Ok(())
    }

    /// Returns how new directories are hashed; `None` if they are not.
    fn hashing(&self) -> Option<Hashing> {
        let raw = &self.raw;
        // s_def_hash_version is the byte at 0xfc, s_hash_seed at 0xec, s_flags at 0x160.
        let [version, ..] = raw.super32(0xfc).to_le_bytes();
        let known = raw.super32(0x5c) & DIR_INDEX != 0 && version <= 2;
        known.then(|| Hashing {
            version,
            unsigned: raw.super32(0x160) & UNSIGNED_HASH != 0,
            seed: [0xec, 0xf0, 0xf4, 0xf8].map(|at| raw.super32(at)),
        })
    }
}
