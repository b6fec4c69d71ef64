// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Directories: read once, changed in memory, written when the file system is closed.
//!
//! An entry remembers the block that it stands in, so that an edit of a large directory writes
//! the blocks it concerns and no others.

mod block;
mod htree;
mod store;

use std::collections::{BTreeMap, BTreeSet};

use self::block::Found;
pub(super) use self::htree::Hashing;
use super::inode::{INLINE_DATA_FL, Kind};
use super::{ExtError, ExtFs, MOST_NAMES, Node};

/// `EXT4_ENCRYPT_FL`: names and contents are encrypted.
pub(super) const ENCRYPT_FL: u32 = 0x800;
/// Names that are kept in memory of directories that have not changed.
const KEPT_NAMES: usize = 256 << 10;
/// The most blocks of a directory; one of 4 million names has fewer.
const MOST_BLOCKS: u64 = 1 << 20;
/// The block of an entry that has none yet.
const NO_BLOCK: u32 = u32::MAX;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name: bytes, since nothing makes it UTF-8.
    pub name: Vec<u8>,
    /// What it names.
    pub node: Node,
    /// What sort of thing that is, as the directory says; `None` if it does not.
    pub kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) inode: u32,
    file_type: u8,
    /// The block of the directory that it stands in.
    block: u32,
}

impl Entry {
    /// Returns what the entry says that it names, if it says so.
    pub(super) fn kind(self) -> Option<Kind> {
        Kind::from_file_type(self.file_type)
    }
}

/// How a directory is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Not at all, or in its inode: all of it is written.
    None,
    /// In this many blocks.
    Blocks(u32),
}

#[derive(Debug)]
pub(super) struct Dir {
    parent: u32,
    /// Without `.` and `..`. Sorted, so that the same tree gives the same blocks.
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    form: Form,
    /// Blocks whose entries have changed.
    stale: BTreeSet<u32>,
    /// Whether there are entries without a block, or another parent.
    added: bool,
    moved: bool,
    /// Whether a name stands in it twice.
    doubled: bool,
}

impl Dir {
    /// Returns an empty directory that has never been written.
    pub(super) fn new(parent: u32) -> Self {
        Self {
            parent,
            entries: BTreeMap::new(),
            form: Form::None,
            stale: BTreeSet::new(),
            added: true,
            moved: false,
            doubled: false,
        }
    }

    pub(super) fn parent(&self) -> u32 {
        self.parent
    }

    pub(super) fn set_parent(&mut self, parent: u32) {
        self.parent = parent;
        self.moved = true;
    }

    fn changed(&self) -> bool {
        self.added || self.moved || !self.stale.is_empty()
    }

    /// Takes in what was found in block `block`.
    fn take(&mut self, ino: u32, block: u32, found: Vec<Found<'_>>) -> Result<(), ExtError> {
        for Found { inode, file_type, name } in found {
            match name {
                b"." => (),
                b".." => self.parent = inode,
                name if name.is_empty() || name.contains(&b'/') || name.contains(&0) => {
                    let what = "a directory with a name that cannot be";
                    return Err(ExtError::Damaged { inode: ino, what });
                }
                name => {
                    let entry = Entry { inode, file_type, block };
                    self.doubled |= self.entries.insert(name.to_vec(), entry).is_some();
                }
            }
        }
        Ok(())
    }
}

impl ExtFs {
    /// Returns the entries of a directory, without `.` and `..`, sorted by the bytes of the name.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if `dir` is no directory; [`ExtError::Damaged`],
    /// [`ExtError::Encrypted`].
    pub fn list(&mut self, dir: Node) -> Result<Vec<Listed>, ExtError> {
        let listed = self.dir(dir.0)?.entries.iter();
        let listed = listed.map(|(name, e)| {
            let (name, node, kind) = (name.clone(), Node(e.inode), e.kind());
            Listed { name, node, kind }
        });
        Ok(listed.collect())
    }

    /// Returns a directory, read if it has not been yet.
    pub(super) fn dir(&mut self, ino: u32) -> Result<&Dir, ExtError> {
        if !self.dirs.contains_key(&ino) {
            if self.names > KEPT_NAMES {
                self.dirs.retain(|_, dir| dir.changed());
                self.names = self.dirs.values().map(|dir| dir.entries.len()).sum();
            }
            let dir = self.load(ino)?;
            self.names += dir.entries.len();
            self.dirs.insert(ino, dir);
        }
        Ok(&self.dirs[&ino])
    }

    /// Returns a directory to be changed.
    pub(super) fn dir_mut(&mut self, ino: u32) -> Result<&mut Dir, ExtError> {
        if self.dir(ino)?.doubled {
            return Err(ExtError::Damaged { inode: ino, what: "a directory with a name twice" });
        }
        Ok(self.dirs.get_mut(&ino).expect("it has just been read"))
    }

    fn load(&self, ino: u32) -> Result<Dir, ExtError> {
        let mut inode = self.raw.read_inode(ino)?;
        if inode.kind() != Some(Kind::Directory) {
            return Err(ExtError::WrongKind { inode: ino, wanted: "directory" });
        }
        if inode.flags() & ENCRYPT_FL != 0 {
            return Err(ExtError::Encrypted { inode: ino });
        }
        let damaged = |what| ExtError::Damaged { inode: ino, what };
        let mut dir = Dir { added: false, ..Dir::new(ino) };
        if inode.flags() & INLINE_DATA_FL != 0 {
            let data = self.inline_data(ino, &inode)?;
            // The parent, entries in the rest of the inode's 60 bytes, entries in the attribute.
            let (area, rest) = data.split_at(60);
            dir.parent = u32::from_le_bytes([area[0], area[1], area[2], area[3]]);
            for part in [&area[4..], rest] {
                let found = block::entries(part).ok_or_else(|| damaged("no true directory"))?;
                dir.take(ino, NO_BLOCK, found)?;
            }
            return Ok(dir);
        }
        let count = inode.size() / self.raw.block64();
        if count > MOST_BLOCKS || count == 0 {
            return Err(damaged("a directory of a size that cannot be"));
        }
        let count = u32::try_from(count).expect("at most 2^20");
        dir.form = Form::Blocks(count);
        for at in 0..count {
            let mapped = self.raw.map(ino, &mut inode, u64::from(at))?;
            let mapped = mapped.ok_or_else(|| damaged("a directory with holes"))?;
            let bytes = self.raw.read_dir_block(ino, mapped.block)?;
            let found = block::entries(&bytes).ok_or_else(|| damaged("no true directory"))?;
            dir.take(ino, at, found)?;
            if self.names + dir.entries.len() > MOST_NAMES {
                return Err(damaged("a directory with more names than can be handled"));
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
        let entry = Entry { inode: ino, file_type: kind.file_type(), block: NO_BLOCK };
        let dir = self.dir_mut(parent.0)?;
        dir.entries.insert(name.to_vec(), entry);
        dir.added = true;
        self.names += 1;
        self.touch_dir(parent.0, i8::from(kind == Kind::Directory))
    }

    /// Takes the name of something of this kind out of a directory.
    pub(super) fn leave(&mut self, parent: Node, name: &[u8], kind: Kind) -> Result<(), ExtError> {
        let dir = self.dir_mut(parent.0)?;
        if let Some(entry) = dir.entries.remove(name) {
            // One that was never written leaves no trace, but one in the inode does.
            if entry.block == NO_BLOCK {
                dir.added = true;
            } else {
                dir.stale.insert(entry.block);
            }
        }
        self.names = self.names.saturating_sub(1);
        self.touch_dir(parent.0, -i8::from(kind == Kind::Directory))
    }
}
