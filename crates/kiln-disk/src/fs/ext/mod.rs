// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ext2, ext3 and ext4 through libext2fs, the code of e2fsprogs itself, on any [`Device`].
//!
//! A file system that was not unmounted is one whose journal is replayed first. Directories are
//! held in memory and written by [`ExtFs::close`], where they were changed; large ones are hashed.
//!
//! **Invariant:** `unsafe` is in `ffi`, `channel` and `raw` only; everything else here is built
//! on the checked calls of `raw`.

mod cache;
mod channel;
pub mod check;
mod dir;
mod error;
mod features;
mod ffi;
mod inode;
mod journal;
mod lookup;
mod names;
mod orphan;
mod path;
mod raw;
mod read;
pub mod resize;
pub(in crate::fs) mod scratch;
mod superblock;
mod uuid;
mod write;
mod xattr;

use std::collections::BTreeMap;

use kiln_spec::Bytes;

use self::dir::Dir;
pub use self::dir::Listed;
pub use self::error::ExtError;
pub use self::inode::{Attrs, Kind, Time};
pub use self::names::New;
pub(crate) use self::path::{names, shown, split};
use self::raw::Raw;
pub use self::scratch::{OnProgress, Progress, TendError};
pub use self::write::Contents;
use crate::device::Device;

/// Names held in memory for one file system; a hostile tree of hard links ends here.
const MOST_NAMES: usize = 4 << 20;

/// One inode of a file system: a file, a directory, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u32);

impl Node {
    /// The root directory.
    pub const ROOT: Self = Self(2);

    /// Returns the node of an inode's number, as [`Node::number`] gave it.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Returns the inode's number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Whether a file system is opened for reading only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is written.
    Read,
    /// Files can be changed; `now`, in seconds since 1970, is the time that is noted for it.
    Write {
        /// Seconds since 1970, at least 1.
        now: i64,
    },
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What sort of thing.
    pub kind: Kind,
    /// Owner, permissions, time.
    pub attrs: Attrs,
    /// Bytes of contents, or of a link's target.
    pub size: u64,
    /// How many names it has.
    pub links: u32,
    /// Major and minor number of a device; zeros for anything else.
    pub device: (u32, u32),
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of one block.
    pub block: Bytes,
    /// Bytes of all blocks.
    pub size: Bytes,
    /// Bytes of the free ones.
    pub free: Bytes,
    /// How many inodes there are.
    pub inodes: u32,
    /// How many of them are free.
    pub free_inodes: u32,
}

/// An open ext2, ext3 or ext4 file system.
///
/// Not for several threads: libext2fs is not made for it.
#[derive(Debug)]
pub struct ExtFs {
    raw: Raw,
    dirs: BTreeMap<u32, Dir>,
    /// Names in `dirs`.
    names: usize,
    access: Access,
    /// Whether it has just been made: what is written to a directory leaves its times alone.
    new: bool,
    /// Room for a part of a file's contents, from one file to the next.
    chunk: Vec<u8>,
}

impl ExtFs {
    /// Opens the file system that fills `device`.
    ///
    /// # Effects
    ///
    /// With [`Access::Write`] the device is changed by [`ExtFs::close`] and, when much has
    /// gathered, before. If the value is dropped without `close` the file system is left damaged.
    /// What a crash left in the journal is brought to its place first, and files that it left
    /// without a name are removed. With [`Access::Read`] the tree is shown as if that had been
    /// done, and the device is not written to.
    ///
    /// # Errors
    ///
    /// - [`ExtError::Library`] if there is no ext file system, or it has unknown features.
    /// - [`ExtError::ReadOnly`], for writing only, if errors are noted in it, it has no journal
    ///   and was not unmounted, or it has a feature that libext2fs cannot keep true.
    /// - [`ExtError::Journal`] if its journal is needed and damaged.
    /// - [`ExtError::Io`] if the device fails.
    pub fn open(device: Box<dyn Device>, access: Access) -> Result<Self, ExtError> {
        let write = access != Access::Read;
        let device = journal::recover(device, write)?;
        let mut raw = Raw::open(device, write)?;
        if let Access::Write { now } = access {
            if let Some(why) = features::refusal(&raw) {
                return Err(ExtError::ReadOnly { why });
            }
            raw.set_now(now);
            raw.read_bitmaps()?;
            features::set_recovered(&mut raw);
        }
        let mut fs =
            Self { raw, dirs: BTreeMap::new(), names: 0, access, new: false, chunk: Vec::new() };
        if write {
            fs.settle_orphans()?;
        }
        Ok(fs)
    }

    /// Prepares a file system that `mke2fs` has just made in a new sparse file.
    ///
    /// Every time in it becomes that of [`Access::Write`], whatever clock `mke2fs` read, and all
    /// inode tables are noted to hold zeros where they are not used, which is true of a sparse
    /// file: Linux need not write them on the first mount. From then on the times of directories
    /// are those that they were made with, whatever is put into them.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn prepare_new(&mut self) -> Result<(), ExtError> {
        // ext2fs/ext2_fs.h: s_lastcheck, s_mkfs_time; s_first_ino is the first that is a user's.
        const TIMES: [usize; 2] = [0x40, 0x108];
        const FIRST_INODE: usize = 0x54;
        self.new = true;
        self.raw.set_tables_zeroed();
        let now = self.now();
        let seconds = u32::try_from(now.seconds).unwrap_or(u32::MAX);
        TIMES.into_iter().for_each(|at| self.raw.set_super32(at, seconds));
        // The first of the users' is lost+found.
        for ino in 1..=self.raw.super32(FIRST_INODE).min(64) {
            let mut inode = self.raw.read_inode(ino)?;
            if inode.links() > 0 {
                inode.set_times(now);
                self.raw.write_inode(ino, &mut inode)?;
            }
        }
        Ok(())
    }

    /// Writes everything to the device and closes the file system.
    ///
    /// # Errors
    ///
    /// [`ExtError::NoBlocks`] if there is no room for the directories; [`ExtError::Io`].
    pub fn close(mut self) -> Result<(), ExtError> {
        if self.access == Access::Read {
            return Ok(());
        }
        self.write_dirs()?;
        self.raw.flush()
    }

    /// Returns how full it is. Directories that are not written yet do not count.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let block = self.raw.block64();
        let (free, free_inodes) = self.raw.free_by_groups();
        Usage {
            block: Bytes(block),
            size: Bytes(self.raw.wide(0x04, 0x150).saturating_mul(block)),
            free: Bytes(free.saturating_mul(block)),
            inodes: self.raw.super32(0x00),
            free_inodes,
        }
    }

    /// Returns its label: up to 16 bytes, none if it has no label.
    #[must_use]
    pub fn label(&self) -> Vec<u8> {
        let label: [u8; 16] = self.raw.super_bytes(0x78);
        label.into_iter().take_while(|&b| b != 0).collect()
    }

    /// Returns whether a node is a directory.
    ///
    /// # Errors
    ///
    /// As [`ExtFs::stat`].
    pub fn is_directory(&self, node: Node) -> Result<bool, ExtError> {
        Ok(self.kind(node)? == Kind::Directory)
    }

    fn kind(&self, node: Node) -> Result<Kind, ExtError> {
        if self.dirs.contains_key(&node.0) {
            return Ok(Kind::Directory);
        }
        Ok(self.stat(node)?.kind)
    }

    /// Returns what a node is. The size of a directory is that before what was
    /// put into it since it was opened.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the inode is of no known kind; [`ExtError::Library`].
    pub fn stat(&self, node: Node) -> Result<Stat, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        let wrong = ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" };
        let kind = inode.kind().ok_or(wrong)?;
        let device = if matches!(kind, Kind::Char | Kind::Block) { inode.device() } else { (0, 0) };
        let (attrs, links) = (inode.attrs(), u32::from(inode.links()));
        Ok(Stat { kind, attrs, size: inode.size(), links, device })
    }

    fn now(&self) -> Time {
        match self.access {
            Access::Read => Time::default(),
            Access::Write { now } => Time { seconds: now, nanos: 0 },
        }
    }

    /// Sets owner, permissions and time of change. An access control list follows the permissions,
    /// as with chmod(2).
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(node.0)?;
        let wrong = ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" };
        let before = inode.attrs().mode;
        inode.change_attrs(inode.kind().ok_or(wrong)?, attrs);
        inode.set_changed(self.now());
        self.raw.write_inode(node.0, &mut inode)?;
        if before == attrs.mode & 0o7777 { Ok(()) } else { self.follow_mode(node, attrs.mode) }
    }
}
