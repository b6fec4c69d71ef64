// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Contents of files and targets of symbolic links.

use std::fmt;
use std::io::Read;

use super::inode::{Inode, Kind};
use super::{Attrs, ExtError, ExtFs, Node};
use crate::device::len64;

/// Bytes of a file that are looked at and written together.
const CHUNK: usize = 4 << 20;
/// Zeros shorter than this are written out: each hole costs an extent.
const LEAST_HOLE: usize = 64 << 10;
/// The longest target that is kept in the inode: one byte less than its 60.
const SHORT_TARGET: usize = 59;

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
    /// As [`ExtFs::create`]; [`ExtError::Data`] if the data ends early or fails. The name is not
    /// entered then, and what was taken for the file is lost to the file system.
    pub fn create_file(
        &mut self,
        parent: Node,
        name: &[u8],
        attrs: &Attrs,
        contents: Contents<'_>,
    ) -> Result<Node, ExtError> {
        let Contents { size, data } = contents;
        self.check_free(parent, name)?;
        let ino = self.raw.take_inode(parent.0, false)?;
        let mut inode = self.fresh(Kind::File, attrs);
        self.raw.init_blocks(ino, &mut inode)?;
        self.raw.set_size(&mut inode, size)?;
        // libext2fs reads the inode while it takes blocks.
        self.raw.write_inode(ino, &mut inode)?;
        if size > 0 {
            self.fill(ino, &mut inode, size, data)?;
            self.raw.write_inode(ino, &mut inode)?;
        }
        self.enter(parent, name, ino, Kind::File)?;
        Ok(Node(ino))
    }

    /// Writes `size` bytes of `data` as the contents of a new inode.
    fn fill(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<(), ExtError> {
        let unit = self.raw.block_size();
        let len = usize::try_from(size).map_or(CHUNK, |n| n.next_multiple_of(unit).min(CHUNK));
        let mut chunk = vec![0; len];
        let mut at = 0;
        while at < size {
            let want = usize::try_from(size - at).map_or(len, |left| left.min(len));
            let read = data.read_exact(&mut chunk[..want]);
            read.map_err(|source| ExtError::Data { source })?;
            let whole = want.next_multiple_of(unit);
            chunk[want..whole].fill(0);
            for (start, end) in data_runs(&chunk[..whole], unit) {
                let first = at + len64(&chunk[..start]);
                self.write_run(ino, inode, first, &chunk[start..end])?;
            }
            at += len64(&chunk[..want]);
        }
        Ok(())
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

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is something else; [`ExtError::TooLong`] if the target
    /// is longer than a block.
    pub fn read_link(&self, node: Node) -> Result<Vec<u8>, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        if inode.kind() != Some(Kind::Symlink) {
            return Err(ExtError::WrongKind { inode: node.0, wanted: "symbolic link" });
        }
        let most = self.raw.block64();
        let size = inode.size();
        if size > most {
            return Err(ExtError::TooLong { size, most });
        }
        let len = usize::try_from(size).map_err(|_| ExtError::TooLong { size, most })?;
        if len <= SHORT_TARGET {
            let mut area = inode.block_area();
            area.truncate(len);
            return Ok(area);
        }
        let mut target = vec![0; len];
        self.read_exact(node, 0, &mut target)?;
        Ok(target)
    }

    /// Returns the contents of a file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file; [`ExtError::TooLong`].
    pub fn read_file(&self, node: Node, most: u64) -> Result<Vec<u8>, ExtError> {
        let size = self.file_size(node)?;
        let len = usize::try_from(size).ok().filter(|_| size <= most);
        let mut bytes = vec![0; len.ok_or(ExtError::TooLong { size, most })?];
        self.read_exact(node, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads from a file from byte `at` on. Returns how many bytes: fewer than asked for only at
    /// its end.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file.
    pub fn read_at(&self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, ExtError> {
        let left = self.file_size(node)?.saturating_sub(at);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.read_exact(node, at, &mut buf[..len])?;
        Ok(len)
    }

    fn file_size(&self, node: Node) -> Result<u64, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        if inode.kind() == Some(Kind::File) {
            return Ok(inode.size());
        }
        Err(ExtError::WrongKind { inode: node.0, wanted: "file" })
    }

    fn read_exact(&self, node: Node, mut at: u64, mut buf: &mut [u8]) -> Result<(), ExtError> {
        while !buf.is_empty() {
            let got = self.raw.read_file(node.0, at, buf)?;
            if got == 0 {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                return Err(ExtError::Io { doing: "read a file", source });
            }
            at += len64(&buf[..got]);
            buf = &mut buf[got..];
        }
        Ok(())
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
