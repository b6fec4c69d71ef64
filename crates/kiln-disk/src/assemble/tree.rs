// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stream into the file system, and files on top of it.

use std::io::Read;

use kiln_host::read::Holes;
use kiln_spec::Bytes;

use super::layout::Holds;
use super::{AssembleError, ExtraFile, Layout, Progress};
use crate::device::len64;
use crate::fs::ext::{Attrs, Contents, ExtError, ExtFs, Kind, New, Node, Time, split};
use crate::tar::{Entry, EntryKind, Reader, TarError};

/// What a member takes on disk is counted in blocks of this size.
const BLOCK: u64 = 4096;
/// `mke2fs -t ext4` makes one inode for this many bytes.
const BYTES_PER_INODE: u64 = 16_384;

/// A stream may be this many times as long as its disk: files may be zeros mostly.
const MOST_TIMES: u64 = 16;
/// Streams up to this length are read in any case.
const LEAST_LIMIT: u64 = 64 << 30;
/// The attribute that SELinux keeps a file's label in.
const LABEL: &str = "security.selinux";

impl<R: Read> Holes for Reader<R> {
    fn skip_hole(&mut self, unit: u64) -> u64 {
        Self::skip_hole(self, unit)
    }
}

/// Returns a size for a disk that has room for a tree of `entries` files and `bytes` bytes in
/// them, and for as much again as it takes while it is in use: a quarter, and 512 MiB.
#[must_use]
pub fn disk_for(entries: u64, bytes: u64, layout: &Layout) -> Bytes {
    // Half a block of each file is not filled, and directories take blocks, too.
    let blocks = bytes.saturating_add(entries.saturating_mul(BLOCK));
    let tally = Tally { entries, bytes, blocks };
    let least = Layout { size: Bytes(0), ..layout.clone() };
    let need = tally.need(&least).0;
    let size = need.saturating_add(need / 4).saturating_add(512 << 20);
    Bytes(size).round_up(Bytes::from_gib(1)).unwrap_or(Bytes(u64::MAX))
}

/// What has come out of the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) entries: u64,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Bytes of all blocks that files, links and directories take.
    blocks: u64,
}

impl Tally {
    /// Counts a member of whose contents the stream has `stored` bytes.
    fn count(&mut self, entry: &Entry, stored: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(stored);
        let own = match &entry.kind {
            EntryKind::File => stored.div_ceil(BLOCK).saturating_mul(BLOCK),
            EntryKind::Directory => BLOCK,
            EntryKind::Symlink(target) if target.len() > 59 => BLOCK,
            _ => 0,
        };
        let name = 8 + len64(&entry.path).min(256);
        let xattrs = if entry.xattrs.is_empty() { 0 } else { BLOCK };
        self.blocks = self.blocks.saturating_add(own + name + xattrs);
    }

    /// Returns a size of the disk that is enough for the tree, with a tenth to spare.
    fn need(&self, layout: &Layout) -> Bytes {
        // Inode tables take 256 of 16,384 bytes; 1 in 100 is kept for root; then come the journal
        // (64 MiB up to 16 GiB) and what is written at the end (kernel modules of GRUB, ...).
        let data = self.blocks.saturating_add(self.blocks / 20).saturating_add(96 << 20);
        let inodes = self.entries.saturating_mul(BYTES_PER_INODE);
        let root = data.max(inodes).saturating_mul(11) / 10;
        let others = layout.parts().into_iter().filter(|part| part.holds != Holds::Root);
        let others = others
            .filter_map(|part| part.size)
            .fold(0, |sum: u64, size| sum.saturating_add(size.0));
        let all = root.saturating_add(others).saturating_add(3 << 20);
        // Never less than the size that was too small.
        let all = all.max(layout.size.0.saturating_add(1));
        Bytes(all).round_up(Bytes::from_mib(64)).unwrap_or(Bytes(u64::MAX))
    }

    fn too_small(&self, layout: &Layout) -> AssembleError {
        AssembleError::TooSmall { size: layout.size, need: self.need(layout) }
    }
}

fn is_full(error: &ExtError) -> bool {
    matches!(error, ExtError::NoBlocks | ExtError::NoInodes)
}

/// Returns the error for a file system that could not be closed.
pub(super) fn at_close(source: ExtError, tally: &Tally, layout: &Layout) -> AssembleError {
    if is_full(&source) {
        return tally.too_small(layout);
    }
    AssembleError::Ext { doing: "finish", source }
}

/// Puts every member of the stream into the file system.
///
/// If it does not fit, the rest of the stream is read to learn what would be enough.
pub(super) fn unpack(
    fs: &mut ExtFs,
    tar: &mut dyn Read,
    layout: &Layout,
    progress: &mut dyn FnMut(Progress),
) -> Result<Tally, AssembleError> {
    let stream = |source| AssembleError::Tar { source };
    let mut reader = Reader::new(tar);
    let mut tally = Tally::default();
    let mut full = false;
    let limit = layout.size.0.saturating_mul(MOST_TIMES).max(LEAST_LIMIT);
    let mut unpacker = Unpacker { fs, near: None };
    while let Some(entry) = reader.next_entry().map_err(stream)? {
        if kiln_host::signal::interrupted() {
            return Err(AssembleError::Interrupted);
        }
        tally.count(&entry, reader.stored());
        if reader.position().saturating_add(reader.stored()) > limit {
            let (path, most) = (entry.path.clone(), Bytes(limit));
            return Err(AssembleError::TooLong { path, most, size: layout.size });
        }
        if !full {
            match unpacker.put(&entry, &mut reader) {
                Err(source) if is_full(&source) => full = true,
                other => other.map_err(|source| failed(&entry, source))?,
            }
        }
        progress(Progress::Tree { bytes: reader.position(), entries: tally.entries });
    }
    if !reader.read_rest(limit).map_err(stream)? {
        let (path, most) = (reader.path().to_vec(), Bytes(limit));
        return Err(AssembleError::TooLong { path, most, size: layout.size });
    }
    if full { Err(tally.too_small(layout)) } else { Ok(tally) }
}

/// Returns the error for a member that could not be put into the tree.
fn failed(entry: &Entry, source: ExtError) -> AssembleError {
    let path = entry.path.clone();
    match source {
        ExtError::Data { source } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            AssembleError::Tar { source: TarError::Truncated { path } }
        }
        ExtError::Data { source } => AssembleError::Tar { source: TarError::Read { source } },
        source => AssembleError::Tree { path, source },
    }
}

struct Unpacker<'a> {
    fs: &'a mut ExtFs,
    /// The directory of the last member: most have the same one as their predecessor.
    near: Option<(Vec<u8>, Node)>,
}

impl Unpacker<'_> {
    fn put(&mut self, entry: &Entry, data: &mut dyn Holes) -> Result<(), ExtError> {
        let attrs = Attrs {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: Time { seconds: entry.mtime.0, nanos: entry.mtime.1 },
        };
        let Some((folder, name)) = split(&entry.path) else {
            return self.update(Node::ROOT, &attrs, entry);
        };
        let parent = self.folder(folder)?;
        if let Some(old) = self.fs.child(parent, name)? {
            let directory = self.fs.stat(old)?.kind == Kind::Directory;
            if directory && entry.kind == EntryKind::Directory {
                return self.update(old, &attrs, entry);
            }
            // The later of two members of a name is the one that counts.
            self.fs.remove(parent, name)?;
            self.near = None;
        }
        let new = match &entry.kind {
            EntryKind::File => {
                let contents = (Some(entry.size), data);
                let node = self.fs.create_file_with_holes(parent, name, &attrs, contents)?;
                return self.fs.set_xattrs(node, &entry.xattrs);
            }
            EntryKind::HardLink(target) => {
                let old = self.fs.lookup(target)?;
                let old = old.ok_or_else(|| ExtError::NotFound { path: target.clone() })?;
                return self.fs.link(parent, name, old);
            }
            EntryKind::Directory => New::Directory,
            EntryKind::Symlink(target) => New::Symlink(target),
            EntryKind::Char(major, minor) => New::Char(*major, *minor),
            EntryKind::Block(major, minor) => New::Block(*major, *minor),
            EntryKind::Fifo => New::Fifo,
        };
        let node = self.fs.create(parent, name, new, &attrs)?;
        self.fs.set_xattrs(node, &entry.xattrs)
    }

    fn update(&mut self, node: Node, attrs: &Attrs, entry: &Entry) -> Result<(), ExtError> {
        if entry.kind != EntryKind::Directory {
            return Err(ExtError::IsADirectory { name: entry.path.clone() });
        }
        self.fs.set_attrs(node, attrs)?;
        self.fs.set_xattrs(node, &entry.xattrs)
    }

    /// Returns the directory at `path`, made with its parents if the stream left it out. No
    /// symbolic link is followed.
    fn folder(&mut self, path: &[u8]) -> Result<Node, ExtError> {
        if let Some((near, node)) = &self.near
            && near == path
        {
            return Ok(*node);
        }
        let attrs = Attrs { mode: 0o755, ..Attrs::default() };
        let mut at = Node::ROOT;
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            at = match self.fs.child(at, name)? {
                Some(next) if self.fs.is_directory(next)? => next,
                Some(_) => return Err(ExtError::NotADirectory { path: path.to_vec() }),
                None => self.fs.create(at, name, New::Directory, &attrs)?,
            };
        }
        self.near = Some((path.to_vec(), at));
        Ok(at)
    }
}

/// Puts files into the tree, over what is there. Symbolic links before the last name are followed
/// inside the tree; one at the last name is replaced.
pub(super) fn overlay(
    fs: &mut ExtFs,
    files: &[ExtraFile],
    layout: &Layout,
) -> Result<(), AssembleError> {
    for file in files {
        put_file(fs, file, layout).map_err(|source| at_file(source, &file.path, layout))?;
    }
    Ok(())
}

/// Makes a directory, and those above it, unless they are there.
pub(super) fn make_folder(
    fs: &mut ExtFs,
    path: &str,
    layout: &Layout,
) -> Result<(), AssembleError> {
    let made = folder_at(fs, path.as_bytes(), layout);
    made.map(|_| ()).map_err(|source| at_file(source, path, layout))
}

fn at_file(source: ExtError, path: &str, layout: &Layout) -> AssembleError {
    if is_full(&source) {
        let need = Bytes(layout.size.0.saturating_add(256 << 20));
        return AssembleError::TooSmall { size: layout.size, need };
    }
    AssembleError::Tree { path: path.as_bytes().to_vec(), source }
}

/// Owner and permissions of what Kiln adds.
fn ours(mode: u32, layout: &Layout) -> Attrs {
    let mtime = Time { seconds: i64::try_from(layout.time).unwrap_or(i64::MAX), nanos: 0 };
    Attrs { mode, uid: 0, gid: 0, mtime }
}

fn put_file(fs: &mut ExtFs, file: &ExtraFile, layout: &Layout) -> Result<(), ExtError> {
    let bad = || ExtError::BadName { name: file.path.clone().into_bytes() };
    let (folder, name) = split(file.path.as_bytes()).ok_or_else(bad)?;
    let parent = folder_at(fs, folder, layout)?;
    let old = fs.child(parent, name)?;
    // SELinux lets nobody use a file without a label: that of the old one, or of its folder.
    let label = fs.xattrs(old.unwrap_or(parent))?.into_iter().find(|(name, _)| name == LABEL);
    if old.is_some() {
        fs.remove(parent, name)?;
    }
    let contents = Contents { size: len64(&file.bytes), data: &mut file.bytes.as_slice() };
    let node = fs.create_file(parent, name, &ours(file.mode, layout), contents)?;
    label.map_or(Ok(()), |label| fs.set_xattrs(node, &[label]))
}

/// Returns the directory at `path`, symbolic links followed inside the tree, made if need be.
fn folder_at(fs: &mut ExtFs, path: &[u8], layout: &Layout) -> Result<Node, ExtError> {
    let mut so_far = Vec::new();
    let mut at = Node::ROOT;
    for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
        so_far.push(b'/');
        so_far.extend_from_slice(name);
        at = match fs.resolve(&so_far)? {
            Some(next) if fs.is_directory(next)? => next,
            Some(_) => return Err(ExtError::NotADirectory { path: so_far }),
            None => fs.create(at, name, New::Directory, &ours(0o755, layout))?,
        };
    }
    Ok(at)
}
