// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writing the contents of files and the targets of symbolic links.

use std::fmt;
use std::io::{self, Read};

use kiln_host::read::{self, Holes, Plain};

use super::inode::{INLINE_DATA_FL, Inode, Kind};
use super::xattr::INLINE;
use super::{Attrs, ExtError, ExtFs, Node};
use crate::device::len64;

/// Bytes of a file that are looked at and written together.
const CHUNK: usize = 4 << 20;
/// Bytes that are asked for first, of contents whose length is not known.
const FIRST_CHUNK: usize = 64 << 10;
/// Zeros shorter than this are written out: each hole costs an extent.
const LEAST_HOLE: usize = 64 << 10;
/// The longest target that is kept in the inode: one byte less than its 60.
pub(super) const SHORT_TARGET: usize = 59;
/// `EXT4_VERITY_FL`: the contents must not change.
const VERITY_FL: u32 = 0x10_0000;

/// What a new file is to hold.
pub struct Contents<'a> {
    /// How many bytes.
    pub size: u64,
    /// Where they come from; only `size` of them are read.
    pub data: &'a mut dyn Read,
}

impl fmt::Debug for Contents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("size", &self.size).finish_non_exhaustive()
    }
}

impl ExtFs {
    /// Makes a file in the directory `parent`. Long runs of zeros become holes.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::create`]; [`ExtError::Data`] if the data ends early or fails. There is no file
    /// then.
    pub fn create_file(
        &mut self,
        parent: Node,
        name: &[u8],
        attrs: &Attrs,
        contents: Contents<'_>,
    ) -> Result<Node, ExtError> {
        let Contents { size, data } = contents;
        self.new_file(parent, name, attrs, (Some(size), &mut Plain(data)))
    }

    /// Makes a file of `size` bytes, holes included, in the directory `parent`. Holes that are
    /// known are skipped, not read.
    ///
    /// Without a size it has all that `data` gives.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::create_file`]; [`ExtError::NoBlocks`] if ext4 knows no files of that size.
    pub fn create_file_with_holes(
        &mut self,
        parent: Node,
        name: &[u8],
        attrs: &Attrs,
        contents: (Option<u64>, &mut dyn Holes),
    ) -> Result<Node, ExtError> {
        self.new_file(parent, name, attrs, contents)
    }

    /// Makes a file in the directory `parent` with all that `data` gives. Long runs of zeros
    /// become holes.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::create_file`].
    pub fn create_file_from(
        &mut self,
        parent: Node,
        name: &[u8],
        attrs: &Attrs,
        data: &mut dyn Read,
    ) -> Result<Node, ExtError> {
        self.new_file(parent, name, attrs, (None, &mut Plain(data)))
    }

    fn new_file(
        &mut self,
        parent: Node,
        name: &[u8],
        attrs: &Attrs,
        (size, data): (Option<u64>, &mut dyn Holes),
    ) -> Result<Node, ExtError> {
        self.check_free(parent, name)?;
        // Blocks of a file have numbers of 32 bits.
        if size.is_some_and(|size| size / self.raw.block64() >= u64::from(u32::MAX)) {
            return Err(ExtError::NoBlocks);
        }
        let ino = self.raw.take_inode(parent.0, false)?;
        let mut inode = self.fresh(Kind::File, attrs);
        let made = self
            .raw
            .init_blocks(ino, &mut inode)
            // libext2fs reads the inode while it takes blocks.
            .and_then(|()| self.raw.write_inode(ino, &mut inode))
            .and_then(|()| self.fill(ino, &mut inode, size, data));
        self.keep_or_free(ino, &mut inode, made)?;
        self.enter(parent, name, ino, Kind::File)?;
        Ok(Node(ino))
    }

    /// Makes the contents of a file what `data` gives; the inode stays, with its names, owner,
    /// permissions and extended attributes. Long runs of zeros become holes. Returns how many
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file; [`ExtError::NoBlocks`], [`ExtError::Data`]:
    /// the file is empty then.
    pub fn overwrite(&mut self, node: Node, data: &mut dyn Read) -> Result<u64, ExtError> {
        self.overwrite_with_holes(node, &mut Plain(data))
    }

    /// As [`ExtFs::overwrite`], with contents whose holes are known.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::overwrite`].
    pub fn overwrite_with_holes(
        &mut self,
        node: Node,
        data: &mut dyn Holes,
    ) -> Result<u64, ExtError> {
        let mut inode = self.file_to_write(node)?;
        let ino = node.0;
        self.empty(ino, &mut inode)?;
        let filled = self.fill(ino, &mut inode, None, data);
        if filled.is_err() {
            self.empty(ino, &mut inode)?;
        }
        filled
    }

    /// Cuts a file off at `len` bytes, or makes it longer by a hole.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file; [`ExtError::NoBlocks`].
    pub fn truncate(&mut self, node: Node, len: u64) -> Result<(), ExtError> {
        let mut inode = self.file_to_write(node)?;
        let ino = node.0;
        if inode.flags() & INLINE_DATA_FL != 0 {
            let most = usize::try_from(len.min(inode.size())).unwrap_or(usize::MAX);
            let mut data = self.inline_data(ino, &inode)?;
            data.truncate(most);
            self.empty(ino, &mut inode)?;
            self.fill(ino, &mut inode, None, &mut Plain(&mut data.as_slice()))?;
        }
        if len < inode.size() {
            self.cut(ino, &mut inode, len)?;
        }
        self.raw.set_size(&mut inode, len)?;
        inode.set_modified(self.now());
        self.raw.write_inode(ino, &mut inode)
    }

    /// Frees what lies past `len` bytes, and makes the rest of the last block zeros.
    pub(super) fn cut(&mut self, ino: u32, inode: &mut Inode, len: u64) -> Result<(), ExtError> {
        let block = self.raw.block64();
        self.raw.release(ino, inode, len.div_ceil(block))?;
        let into = len % block;
        if into == 0 {
            return Ok(());
        }
        if let Some(mapped) = self.raw.map(ino, inode, len / block)? {
            let rest = vec![0; usize::try_from(block - into).expect("less than a block")];
            self.raw.write_block(mapped.block, into, &rest)?;
        }
        Ok(())
    }

    fn file_to_write(&self, node: Node) -> Result<Inode, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        if inode.kind() != Some(Kind::File) {
            return Err(ExtError::WrongKind { inode: node.0, wanted: "file" });
        }
        if inode.flags() & VERITY_FL != 0 {
            let why = format!("inode {} is sealed by fs-verity", node.0);
            return Err(ExtError::ReadOnly { why });
        }
        Ok(inode)
    }

    /// Takes all contents from a file.
    fn empty(&mut self, ino: u32, inode: &mut Inode) -> Result<(), ExtError> {
        if inode.flags() & INLINE_DATA_FL != 0 {
            self.make_blocks_of_inline(ino, inode)?;
        } else {
            self.raw.release(ino, inode, 0)?;
        }
        self.raw.set_size(inode, 0)?;
        inode.set_modified(self.now());
        self.raw.write_inode(ino, inode)
    }

    /// Makes an inode whose contents stand in it one that has blocks, none yet.
    pub(super) fn make_blocks_of_inline(
        &mut self,
        ino: u32,
        inode: &mut Inode,
    ) -> Result<(), ExtError> {
        self.raw.remove_xattrs(ino, |name| name != INLINE.as_bytes())?;
        *inode = self.raw.read_inode(ino)?;
        inode.set_flags(inode.flags() & !INLINE_DATA_FL);
        inode.set_block_area(&[]);
        self.raw.set_size(inode, 0)?;
        self.raw.init_blocks(ino, inode)?;
        self.raw.write_inode(ino, inode)
    }

    /// Writes `data` as the contents of an inode that has none, and the inode: `size` bytes, or
    /// all there are. Returns how many.
    fn fill(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        size: Option<u64>,
        data: &mut dyn Holes,
    ) -> Result<u64, ExtError> {
        // Making it for each file takes as long as to copy the contents.
        let mut chunk = std::mem::take(&mut self.chunk);
        let filled = self.fill_by(&mut chunk, (ino, inode), size, data);
        self.chunk = chunk;
        filled
    }

    fn fill_by(
        &mut self,
        chunk: &mut Vec<u8>,
        (ino, inode): (u32, &mut Inode),
        size: Option<u64>,
        data: &mut dyn Holes,
    ) -> Result<u64, ExtError> {
        let (unit, unit64) = (self.raw.block_size(), self.raw.block64());
        let most = size.and_then(|size| usize::try_from(size).ok());
        let mut len = most.map_or(FIRST_CHUNK, |n| n.next_multiple_of(unit).min(CHUNK));
        let mut at = 0;
        loop {
            if chunk.len() < len {
                chunk.resize(len, 0);
            }
            let skipped = data.skip_hole(self.raw.block64());
            if skipped > 0 {
                at += skipped;
                // Blocks of a file have numbers of 32 bits.
                if at / self.raw.block64() >= u64::from(u32::MAX) {
                    return Err(ExtError::NoBlocks);
                }
                self.raw.set_size(inode, at)?;
            }
            let known = data.before_hole();
            let left = size.map_or(u64::MAX, |size| size - at);
            let left = known.map_or(left, |known| {
                left.min(known.div_ceil(unit64).max(1).saturating_mul(unit64))
            });
            let want = usize::try_from(left).map_or(len, |left| left.min(len));
            let got =
                read::full(data, &mut chunk[..want]).map_err(|source| ExtError::Data { source })?;
            if got < want && size.is_some() {
                let source = io::ErrorKind::UnexpectedEof.into();
                return Err(ExtError::Data { source });
            }
            let whole = got.next_multiple_of(unit);
            chunk[got..whole].fill(0);
            self.raw.set_size(inode, at + len64(&chunk[..got]))?;
            // Less than a block that is part of a hole is one.
            let exact = known.is_some_and(|known| known > 0) && whole > 0;
            let runs = if exact { vec![(0, whole)] } else { data_runs(&chunk[..whole], unit) };
            for (start, end) in runs {
                let first = at + len64(&chunk[..start]);
                self.write_run(ino, inode, first, &chunk[start..end])?;
            }
            at += len64(&chunk[..got]);
            if got < want || size == Some(at) {
                break;
            }
            len = CHUNK;
        }
        if at > 0 {
            self.raw.write_inode(ino, inode)?;
        }
        Ok(at)
    }

    /// Takes blocks for `bytes` at offset `at` of the file, and writes them there.
    fn write_run(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        at: u64,
        mut bytes: &[u8],
    ) -> Result<(), ExtError> {
        let block = self.raw.block64();
        let mut next = at / block;
        self.raw.allocate(ino, inode, next, len64(bytes) / block)?;
        while !bytes.is_empty() {
            let hole = || ExtError::WrongKind { inode: ino, wanted: "file with all its blocks" };
            let mapped = self.raw.map(ino, inode, next)?.ok_or_else(hole)?;
            let count = mapped.count.min(len64(bytes) / block);
            let part = usize::try_from(count * block).expect("at most the length of the slice");
            let (now, rest) = bytes.split_at(part);
            let mut cache = self.raw.cache.borrow_mut();
            let to = mapped.block * block;
            // The cache counts in 4 KiB; file systems with smaller blocks go through it.
            let aligned = to.is_multiple_of(4096) && now.len().is_multiple_of(4096);
            let written = if aligned { cache.write_through(to, now) } else { cache.write(to, now) };
            written.map_err(|source| ExtError::Io { doing: "write a file's contents", source })?;
            next += count;
            bytes = rest;
        }
        Ok(())
    }

    /// Puts the target into a new symbolic link.
    pub(super) fn set_target(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        target: &[u8],
    ) -> Result<(), ExtError> {
        if target.len() <= SHORT_TARGET {
            inode.set_block_area(target);
            return self.raw.set_size(inode, len64(target));
        }
        self.raw.init_blocks(ino, inode)?;
        self.raw.set_size(inode, len64(target))?;
        self.raw.write_inode(ino, inode)?;
        let mut block = target.to_vec();
        block.resize(self.raw.block_size(), 0);
        self.write_run(ino, inode, 0, &block)
    }
}

/// Returns the parts of `bytes` that are to be written: start and end, both multiples of `unit`,
/// in order. What lies between them is zeros.
fn data_runs(bytes: &[u8], unit: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, block) in bytes.chunks(unit).enumerate() {
        let start = index * unit;
        if block.iter().all(|&b| b == 0) {
            continue;
        }
        match runs.last_mut() {
            Some((_, end)) if start - *end < LEAST_HOLE => *end = start + block.len(),
            _ if start < LEAST_HOLE => runs.push((0, start + block.len())),
            _ => runs.push((start, start + block.len())),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_runs_of_zeros_are_holes() {
        let mut bytes = vec![0; 1 << 20];
        assert_eq!(data_runs(&bytes, 4096), []);
        bytes[200_000] = 1;
        assert_eq!(data_runs(&bytes, 4096), [(196_608, 200_704)]);
        bytes[230_000] = 1;
        assert_eq!(data_runs(&bytes, 4096), [(196_608, 233_472)]);
        bytes[5000] = 1;
        bytes[900_000] = 1;
        let runs = [(0, 8192), (196_608, 233_472), (897_024, 901_120)];
        assert_eq!(data_runs(&bytes, 4096), runs);
    }
}
