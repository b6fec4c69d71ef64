// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Directories: read once, changed in memory, written out whole.
//!
//! Source: Documentation/filesystems/ext4/directory.rst of Linux: `ext4_dir_entry_2` and
//! `ext4_dir_entry_tail`.

use std::collections::BTreeMap;

use super::inode::{INDEX_FL, INLINE_DATA_FL, Kind};
use super::{ExtError, ExtFs, Node};

/// Bytes of an entry before its name.
const HEAD: usize = 8;
/// Bytes of the checksum's entry at the end of a block.
const TAIL: usize = 12;
/// What the checksum's entry has for a file type.
const TAIL_TYPE: u8 = 0xde;
/// `EXT4_FEATURE_RO_COMPAT_METADATA_CSUM`.
const METADATA_CSUM: u32 = 0x400;
/// `EXT4_FEATURE_INCOMPAT_FILETYPE`.
const FILETYPE: u32 = 0x2;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name: bytes, since nothing makes it UTF-8.
    pub name: Vec<u8>,
    /// What it names.
    pub node: Node,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) inode: u32,
    file_type: u8,
}

impl Entry {
    /// Returns what the entry says that it names, if it says so.
    pub(super) fn kind(self) -> Option<Kind> {
        Kind::from_file_type(self.file_type)
    }
}

#[derive(Debug)]
pub(super) struct Dir {
    parent: u32,
    /// Without `.` and `..`. Sorted, so that the same tree gives the same blocks.
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    changed: bool,
}

impl Dir {
    /// Returns an empty directory that has never been written.
    pub(super) fn new(parent: u32) -> Self {
        Self { parent, entries: BTreeMap::new(), changed: true }
    }

    pub(super) fn parent(&self) -> u32 {
        self.parent
    }

    pub(super) fn set_parent(&mut self, parent: u32) {
        self.parent = parent;
    }

    /// Returns the contents of its blocks.
    fn blocks(&self, own: u32, shape: Shape) -> Vec<Vec<u8>> {
        let room = shape.block - shape.tail;
        let directory = Kind::Directory.file_type();
        let dots = [(&b"."[..], own, directory), (&b".."[..], self.parent, directory)];
        let listed = self.entries.iter().map(|(name, e)| (name.as_slice(), e.inode, e.file_type));
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut now = Vec::with_capacity(shape.block);
        let mut last = 0;
        for (name, inode, file_type) in dots.into_iter().chain(listed) {
            let len = (HEAD + name.len()).next_multiple_of(4);
            if now.len() + len > room {
                all.push(finish(std::mem::take(&mut now), last, shape));
            }
            last = now.len();
            let file_type = if shape.file_types { file_type } else { 0 };
            put(&mut now, inode, len, name, file_type);
        }
        all.push(finish(now, last, shape));
        all
    }
}

/// What a directory's blocks look like in one file system.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Bytes of a block.
    block: usize,
    /// How many of them are left for a checksum.
    tail: usize,
    file_types: bool,
}

/// Appends one entry of `len` bytes.
fn put(to: &mut Vec<u8>, inode: u32, len: usize, name: &[u8], file_type: u8) {
    let start = to.len();
    to.extend_from_slice(&inode.to_le_bytes());
    to.extend_from_slice(&rec_len(len));
    to.push(u8::try_from(name.len()).expect("names have been checked: at most 255 bytes"));
    to.push(file_type);
    to.extend_from_slice(name);
    to.resize(start + len, 0);
}

/// Returns the two bytes for a length. A block of 64 KiB is written as 0: Linux,
/// `ext4_rec_len_to_disk`.
fn rec_len(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or_default().to_le_bytes()
}

/// Makes the last entry reach to the end of the block, or to the checksum, which is put there.
fn finish(mut block: Vec<u8>, last: usize, shape: Shape) -> Vec<u8> {
    let room = shape.block - shape.tail;
    block[last + 4..last + 6].copy_from_slice(&rec_len(room - last));
    block.resize(room, 0);
    if shape.tail > 0 {
        put(&mut block, 0, TAIL, b"", TAIL_TYPE);
    }
    block
}

impl ExtFs {
    /// Returns the entries of a directory, without `.` and `..`, sorted by the bytes of the name.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if `dir` is no directory.
    pub fn list(&mut self, dir: Node) -> Result<Vec<Listed>, ExtError> {
        let listed = self.dir(dir.0)?.entries.iter();
        Ok(listed.map(|(name, e)| Listed { name: name.clone(), node: Node(e.inode) }).collect())
    }

    /// Returns a directory, read if it has not been yet.
    pub(super) fn dir(&mut self, ino: u32) -> Result<&Dir, ExtError> {
        if !self.dirs.contains_key(&ino) {
            let dir = self.load(ino)?;
            self.names += dir.entries.len();
            self.dirs.insert(ino, dir);
        }
        Ok(&self.dirs[&ino])
    }

    /// Returns a directory to be changed.
    pub(super) fn dir_mut(&mut self, ino: u32) -> Result<&mut Dir, ExtError> {
        self.dir(ino)?;
        let dir = self.dirs.get_mut(&ino).expect("it has just been read");
        dir.changed = true;
        Ok(dir)
    }

    fn load(&self, ino: u32) -> Result<Dir, ExtError> {
        if self.raw.read_inode(ino)?.kind() != Some(Kind::Directory) {
            return Err(ExtError::WrongKind { inode: ino, wanted: "directory" });
        }
        let mut dir = Dir { parent: ino, entries: BTreeMap::new(), changed: false };
        for entry in self.raw.read_dir(ino)? {
            match entry.name.as_slice() {
                b"." => (),
                b".." => dir.parent = entry.inode,
                _ => {
                    let e = Entry { inode: entry.inode, file_type: entry.file_type };
                    dir.entries.insert(entry.name, e);
                }
            }
        }
        Ok(dir)
    }

    /// Puts a name that has been checked into a directory.
    pub(super) fn enter(
        &mut self,
        parent: Node,
        name: &[u8],
        ino: u32,
        kind: Kind,
    ) -> Result<(), ExtError> {
        let entry = Entry { inode: ino, file_type: kind.file_type() };
        self.dir_mut(parent.0)?.entries.insert(name.to_vec(), entry);
        self.names += 1;
        self.touch_dir(parent.0, i8::from(kind == Kind::Directory))
    }

    /// Takes the name of something of this kind out of a directory.
    pub(super) fn leave(&mut self, parent: Node, name: &[u8], kind: Kind) -> Result<(), ExtError> {
        self.dir_mut(parent.0)?.entries.remove(name);
        self.names = self.names.saturating_sub(1);
        self.touch_dir(parent.0, -i8::from(kind == Kind::Directory))
    }

    /// Writes every changed directory.
    pub(super) fn write_dirs(&mut self) -> Result<(), ExtError> {
        let changed: Vec<u32> =
            self.dirs.iter().filter(|(_, dir)| dir.changed).map(|(&ino, _)| ino).collect();
        for ino in changed {
            self.write_dir(ino)?;
        }
        Ok(())
    }

    fn write_dir(&mut self, ino: u32) -> Result<(), ExtError> {
        let block = self.raw.block_size();
        let tail = if self.raw.super32(0x64) & METADATA_CSUM == 0 { 0 } else { TAIL };
        let shape = Shape { block, tail, file_types: self.raw.super32(0x60) & FILETYPE != 0 };
        let mut inode = self.raw.read_inode(ino)?;
        if inode.flags() & INLINE_DATA_FL != 0 {
            self.make_blocks_of_inline(ino, &mut inode)?;
        }
        let block64 = self.raw.block64();
        let had = inode.size() / block64;
        let dir = &self.dirs[&ino];
        let mut blocks = dir.blocks(ino, shape);
        let need = u64::try_from(blocks.len()).expect("a count fits 64 bits");
        if need > had {
            self.raw.allocate(ino, &mut inode, 0, need)?;
        }
        inode.set_flags(inode.flags() & !INDEX_FL);
        let count = need.max(had);
        self.raw.set_size(&mut inode, count * block64)?;
        self.raw.write_inode(ino, &mut inode)?;
        // A directory that had more blocks keeps them, without entries.
        let mut unused = Vec::new();
        put(&mut unused, 0, HEAD, b"", 0);
        let mut unused = finish(unused, 0, shape);
        for at in 0..count {
            let hole = || ExtError::WrongKind { inode: ino, wanted: "directory without holes" };
            let mapped = self.raw.map(ino, &mut inode, at)?.ok_or_else(hole)?;
            let index = usize::try_from(at).unwrap_or(usize::MAX);
            let bytes = blocks.get_mut(index).unwrap_or(&mut unused);
            self.raw.write_dir_block(ino, mapped.block, bytes)?;
        }
        self.dirs.get_mut(&ino).expect("it is being written").changed = false;
        Ok(())
    }
}
