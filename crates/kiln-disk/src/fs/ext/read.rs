// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading the contents of files and the targets of symbolic links.

use std::io::Write;
use std::ops::Range;

use super::dir::ENCRYPT_FL;
use super::inode::{EXTENTS_FL, INLINE_DATA_FL, Inode, Kind};
use super::write::SHORT_TARGET;
use super::xattr::INLINE;
use super::{ExtError, ExtFs, Node};
use crate::device::len64;

/// Bytes that are read together when a whole file is copied out.
const CHUNK: usize = 1 << 20;
/// The most ranges of data that are told of a file.
const MOST_RANGES: usize = 4096;
/// The most blocks of a file without extents that are asked for one by one.
const MOST_BLOCKS: u64 = 1 << 16;

impl ExtFs {
    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is something else; [`ExtError::TooLong`] if the target
    /// is longer than a block.
    pub fn read_link(&self, node: Node) -> Result<Vec<u8>, ExtError> {
        let mut inode = self.raw.read_inode(node.0)?;
        if inode.kind() != Some(Kind::Symlink) {
            return Err(ExtError::WrongKind { inode: node.0, wanted: "symbolic link" });
        }
        let most = self.raw.block64();
        let size = inode.size();
        if size > most {
            return Err(ExtError::TooLong { size, most });
        }
        let len = usize::try_from(size).map_err(|_| ExtError::TooLong { size, most })?;
        if len <= SHORT_TARGET && !inode.has_blocks() {
            let mut area = inode.block_area();
            area.truncate(len);
            return Ok(area);
        }
        let mut target = vec![0; len];
        self.read_exact(node.0, &mut inode, 0, &mut target)?;
        Ok(target)
    }

    /// Returns the contents of a file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file; [`ExtError::TooLong`].
    pub fn read_file(&self, node: Node, most: u64) -> Result<Vec<u8>, ExtError> {
        let mut inode = self.file_inode(node)?;
        let size = inode.size();
        let len = usize::try_from(size).ok().filter(|_| size <= most);
        let mut bytes = vec![0; len.ok_or(ExtError::TooLong { size, most })?];
        self.read_exact(node.0, &mut inode, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads from a file from byte `at` on. Returns how many bytes: fewer than asked for only at
    /// its end.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file.
    pub fn read_at(&self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, ExtError> {
        let mut inode = self.file_inode(node)?;
        let left = inode.size().saturating_sub(at);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.read_exact(node.0, &mut inode, at, &mut buf[..len])?;
        Ok(len)
    }

    /// Writes a file's contents to `out`, holes as zeros. Returns how many bytes.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file; [`ExtError::Out`] if `out` fails.
    pub fn copy_out(&self, node: Node, out: &mut dyn Write) -> Result<u64, ExtError> {
        let mut inode = self.file_inode(node)?;
        let size = inode.size();
        let mut chunk = vec![0; usize::try_from(size).map_or(CHUNK, |size| size.min(CHUNK))];
        let mut at = 0;
        while at < size {
            let len = usize::try_from(size - at).map_or(CHUNK, |left| left.min(CHUNK));
            self.read_exact(node.0, &mut inode, at, &mut chunk[..len])?;
            out.write_all(&chunk[..len]).map_err(|source| ExtError::Out { source })?;
            at += len64(&chunk[..len]);
        }
        Ok(size)
    }

    /// Returns where a file has blocks, in bytes, in order and apart from each other: the rest are
    /// holes. What is only set aside is no hole. `None` if that cannot be told shortly.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the node is no file.
    pub fn data_ranges(&self, node: Node) -> Result<Option<Vec<Range<u64>>>, ExtError> {
        let mut inode = self.file_inode(node)?;
        let (size, block) = (inode.size(), self.raw.block64());
        if inode.flags() & (INLINE_DATA_FL | ENCRYPT_FL) != 0 {
            return Ok(None);
        }
        let blocks = if inode.flags() & EXTENTS_FL == 0 {
            self.mapped_blocks(node.0, &mut inode, size.div_ceil(block))?
        } else {
            self.raw.extents(node.0, &mut inode, MOST_RANGES)?
        };
        Ok(blocks.and_then(|blocks| ranges(&blocks, size, block)))
    }

    /// Returns the blocks of a file that has a list of them.
    fn mapped_blocks(
        &self,
        ino: u32,
        inode: &mut Inode,
        count: u64,
    ) -> Result<Option<Vec<Range<u64>>>, ExtError> {
        if count > MOST_BLOCKS {
            return Ok(None);
        }
        let mut found: Vec<Range<u64>> = Vec::new();
        for index in 0..count {
            match (self.raw.map(ino, inode, index)?, found.last_mut()) {
                (None, _) => {}
                (Some(_), Some(last)) if last.end == index => last.end += 1,
                (Some(_), _) => found.push(index..index + 1),
            }
        }
        Ok(Some(found))
    }

    fn file_inode(&self, node: Node) -> Result<Inode, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        if inode.kind() == Some(Kind::File) {
            return Ok(inode);
        }
        Err(ExtError::WrongKind { inode: node.0, wanted: "file" })
    }

    /// Fills `buf` from byte `at` of an inode's contents on; what has no block is zeros.
    fn read_exact(
        &self,
        ino: u32,
        inode: &mut Inode,
        mut at: u64,
        mut buf: &mut [u8],
    ) -> Result<(), ExtError> {
        if inode.flags() & ENCRYPT_FL != 0 {
            return Err(ExtError::Encrypted { inode: ino });
        }
        if inode.flags() & INLINE_DATA_FL != 0 {
            let data = self.inline_data(ino, inode)?;
            let start = usize::try_from(at).map_or(data.len(), |at| at.min(data.len()));
            let len = buf.len().min(data.len() - start);
            buf[..len].copy_from_slice(&data[start..start + len]);
            buf[len..].fill(0);
            return Ok(());
        }
        let block = self.raw.block64();
        while !buf.is_empty() {
            let (index, into) = (at / block, at % block);
            let mapped = self.raw.map(ino, inode, index)?;
            let run = mapped.map_or(1, |mapped| mapped.count).saturating_mul(block) - into;
            let len = usize::try_from(run).map_or(buf.len(), |run| run.min(buf.len()));
            let (part, rest) = buf.split_at_mut(len);
            match mapped {
                Some(mapped) => self.raw.read_blocks(mapped.block, into, part)?,
                None => part.fill(0),
            }
            at += len64(part);
            buf = rest;
        }
        Ok(())
    }

    /// Returns the contents that stand in the inode: 60 bytes, and what an attribute holds.
    pub(super) fn inline_data(&self, ino: u32, inode: &Inode) -> Result<Vec<u8>, ExtError> {
        let mut data = inode.block_area();
        let xattrs = self.raw.xattrs(ino)?;
        if let Some((_, rest)) = xattrs.into_iter().find(|(name, _)| name == INLINE) {
            data.extend_from_slice(&rest);
        }
        Ok(data)
    }
}

/// Returns runs of blocks as ranges of bytes that end with the file; `None` if they are in no order.
fn ranges(blocks: &[Range<u64>], size: u64, block: u64) -> Option<Vec<Range<u64>>> {
    let mut all: Vec<Range<u64>> = Vec::new();
    for run in blocks {
        let start = run.start.saturating_mul(block).min(size);
        let end = run.end.saturating_mul(block).min(size);
        match all.last_mut() {
            Some(last) if start < last.end => return None,
            Some(last) if start == last.end => last.end = end,
            _ if start < end => all.push(start..end),
            _ => {}
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_blocks_become_ranges_of_the_file() {
        let one = |range| Some(std::iter::once(range).collect());
        assert_eq!(ranges(&[0..1, 1..3], 9000, 4096), one(0..9000));
        assert_eq!(ranges(&[0..1, 1..3, 5..9], 20_000, 4096), one(0..12_288));
        assert_eq!(ranges(&[2..3, 7..9], 32_000, 4096), Some(vec![8192..12_288, 28_672..32_000]));
        assert_eq!(ranges(&[], 5, 4096), Some(vec![]));
        assert_eq!(ranges(&[2..5, 4..6], 1 << 20, 4096), None);
        assert_eq!(ranges(&[5..6, 0..1], 1 << 20, 4096), None);
    }
}
