// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Contents of files.

use std::io::Read;

use kiln_host::read;

use super::super::{FatError, time};
use super::dir::{self, ARCHIVE, READ_ONLY};
use super::{FatFs, Node};
use crate::device::len64;
use crate::fs::ext::{Access, Attrs, Time};

/// Bytes that are read and written together.
const CHUNK: usize = 1 << 20;

impl FatFs {
    /// Reads from a file from byte `at` on. Returns how many bytes: fewer than asked for only at
    /// its end.
    ///
    /// # Errors
    ///
    /// [`FatError::IsADirectory`]; [`FatError::Damaged`] if the file has fewer clusters than its
    /// length needs.
    pub fn read_at(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, FatError> {
        let item = self.item(node)?;
        if item.is_directory() {
            return Err(FatError::IsADirectory { path: item.name.clone().into_bytes() });
        }
        let (size, first) = (u64::from(item.size()), item.first());
        let len = usize::try_from(size.saturating_sub(at)).map_or(buf.len(), |n| n.min(buf.len()));
        if len == 0 {
            return Ok(0);
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last != node) {
            let count = size.div_ceil(self.boot.cluster);
            let runs = self.table.chain(&mut *self.device, first, count)?;
            if runs.iter().map(|run| u64::from(run.count)).sum::<u64>() < count {
                let name = super::shown(self.item(node)?);
                let what = format!("file `{name}` is longer than its clusters");
                return Err(FatError::Damaged { what });
            }
            self.last = Some((node, runs));
        }
        self.read_runs(at, &mut buf[..len])?;
        Ok(len)
    }

    /// Fills `buf` from byte `at` on of the file whose clusters are known.
    fn read_runs(&mut self, at: u64, buf: &mut [u8]) -> Result<(), FatError> {
        let Some((_, runs)) = &self.last else { return Ok(()) };
        let (mut start, mut done) = (0, 0);
        for run in runs {
            let end = start + u64::from(run.count) * self.boot.cluster;
            let from = at + len64(&buf[..done]);
            if done < buf.len() && from < end && from >= start {
                let left = usize::try_from(end - from).unwrap_or(usize::MAX);
                let part = left.min(buf.len() - done);
                let place = self.place(run.first)? + (from - start);
                let read = self.device.read_at(place, &mut buf[done..done + part]);
                read.map_err(|source| FatError::Io { doing: "read a file", source })?;
                done += part;
            }
            start = end;
        }
        Ok(())
    }

    /// Returns the contents of a file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// As [`FatFs::read_at`]; [`FatError::TooLong`].
    pub fn read_file(&mut self, node: Node, most: u64) -> Result<Vec<u8>, FatError> {
        let size = self.stat(node)?.size;
        if size > most {
            return Err(FatError::TooLong { size, most });
        }
        let mut bytes = Vec::new();
        // Memory is taken as clusters are found to be there: the length may be a lie.
        while len64(&bytes) < size {
            let start = bytes.len();
            let want = usize::try_from(size).map_or(CHUNK, |n| (n - start).min(CHUNK));
            bytes.resize(start + want, 0);
            self.read_at(node, len64(&bytes[..start]), &mut bytes[start..])?;
        }
        Ok(bytes)
    }

    /// Puts contents into the file `name` of the directory `parent`, which is made or emptied
    /// first. One that is there keeps its names and its node. Without the owner's right to write
    /// in `attrs.mode` it is marked as read-only; the other bits and the owner are not kept.
    ///
    /// # Errors
    ///
    /// [`FatError::NoClusters`], [`FatError::DirectoryFull`], [`FatError::TooLarge`],
    /// [`FatError::Data`]: the file is there then, and empty. [`FatError::IsADirectory`],
    /// [`FatError::BadPath`], [`FatError::ReadOnly`].
    pub fn write_file(
        &mut self,
        parent: Node,
        name: &[u8],
        data: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<Node, FatError> {
        self.check_writable()?;
        let stamp = time::stamp(attrs.mtime.seconds);
        let node = match self.child(parent, name)? {
            Some(node) => {
                self.truncate(node)?;
                node
            }
            None => self.insert(parent, name, dir::entry(&[b' '; 11], ARCHIVE, stamp))?,
        };
        self.set_attrs(node, Some(attrs.mode), Some(attrs.mtime))?;
        if let Err(error) = self.fill(node, name, data) {
            self.truncate(node)?;
            return Err(error);
        }
        Ok(node)
    }

    /// Changes permissions and time of change; what is `None` stays. Of the permissions only the
    /// owner's right to write a file is kept. The root directory has neither.
    ///
    /// # Errors
    ///
    /// [`FatError::ReadOnly`].
    pub fn set_attrs(
        &mut self,
        node: Node,
        mode: Option<u32>,
        mtime: Option<Time>,
    ) -> Result<(), FatError> {
        self.check_writable()?;
        if node == Node::ROOT {
            return Ok(());
        }
        let item = self.item_mut(node)?;
        if let Some(mode) = mode.filter(|_| !item.is_directory()) {
            let bit = if mode & 0o200 == 0 { READ_ONLY } else { 0 };
            item.raw[11] = item.raw[11] & !READ_ONLY | bit;
        }
        if let Some(mtime) = mtime {
            item.set_time(time::stamp(mtime.seconds));
        }
        let parent = item.parent;
        self.dir(parent)?.changed = true;
        Ok(())
    }

    /// Empties a file.
    fn truncate(&mut self, node: Node) -> Result<(), FatError> {
        let item = self.item(node)?;
        if item.is_directory() {
            return Err(FatError::IsADirectory { path: item.name.clone().into_bytes() });
        }
        let (first, parent) = (item.first(), item.parent);
        if first != 0 {
            self.table.release(&mut *self.device, first)?;
        }
        self.last = None;
        let item = self.item_mut(node)?;
        item.set_first(0);
        item.set_size(0);
        self.dir(parent)?.changed = true;
        Ok(())
    }

    /// Writes contents into an empty file.
    fn fill(&mut self, node: Node, name: &[u8], data: &mut dyn Read) -> Result<(), FatError> {
        let cluster = self.boot.cluster_len();
        let mut chunk = vec![0; CHUNK.next_multiple_of(cluster)];
        let (mut size, mut last) = (0_u64, None);
        loop {
            let len = read::full(data, &mut chunk).map_err(|source| FatError::Data { source })?;
            if len == 0 {
                break;
            }
            size += len64(&chunk[..len]);
            let small =
                u32::try_from(size).map_err(|_| FatError::TooLarge { name: name.to_vec() })?;
            let whole = len.next_multiple_of(cluster);
            chunk[len..whole].fill(0);
            let count = u32::try_from(whole / cluster).expect("a chunk is small");
            let runs = self.table.take(&mut *self.device, count, last)?;
            if last.is_none() {
                self.item_mut(node)?.set_first(runs[0].first);
            }
            let mut rest = &chunk[..whole];
            for run in runs {
                let part = usize::try_from(run.count).expect("a chunk is small") * cluster;
                let at = self.place(run.first)?;
                let write = self.device.write_at(at, &rest[..part]);
                write.map_err(|source| FatError::Io { doing: "write a file", source })?;
                rest = &rest[part..];
                last = Some(run.first + run.count - 1);
            }
            self.item_mut(node)?.set_size(small);
        }
        let parent = self.item(node)?.parent;
        self.dir(parent)?.changed = true;
        Ok(())
    }

    pub(super) fn check_writable(&self) -> Result<(), FatError> {
        if self.access == Access::Read { Err(FatError::ReadOnly) } else { Ok(()) }
    }
}
