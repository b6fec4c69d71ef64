// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ext2, ext3 and ext4 through libext2fs, the code of e2fsprogs itself, on any [`Device`].
//!
//! Directories are held in memory and written out by [`ExtFs::close`], so that a directory with
//! many entries costs as little for each as a small one. They are written unhashed; Linux reads
//! both, and hashes a directory when it next outgrows a block.
//!
//! **Invariant:** `unsafe` is in `ffi`, `channel` and `raw` only; everything else here is built
//! on the checked calls of `raw`.

mod cache;
mod channel;
mod dir;
mod error;
mod ffi;
mod file;
mod inode;
mod path;
mod raw;

use std::collections::BTreeMap;

use kiln_spec::Bytes;

use self::dir::Dir;
pub use self::dir::Listed;
pub use self::error::ExtError;
pub use self::file::Contents;
use self::inode::Inode;
pub use self::inode::{Attrs, Kind, Time};
use self::path::check_name;
pub(crate) use self::path::{names, shown, split};
use self::raw::Raw;
use crate::device::Device;

/// The most names of an inode: `EXT4_LINK_MAX`, Linux, fs/ext4/ext4.h.
const LINK_MAX: u16 = 65_000;
/// How many symbolic links a path may lead through: `MAXSYMLINKS` of Linux.
const MOST_SYMLINKS: usize = 40;
/// Names held in memory for one file system; a hostile tree of hard links ends here.
const MOST_NAMES: usize = 16 << 20;

/// One inode of a file system: a file, a directory, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u32);

impl Node {
    /// The root directory.
    pub const ROOT: Self = Self(2);

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

/// Something without contents that [`ExtFs::create`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New<'a> {
    /// An empty directory.
    Directory,
    /// A symbolic link to this target: at most one byte less than a block.
    Symlink(&'a [u8]),
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

impl New<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Directory => Kind::Directory,
            Self::Symlink(_) => Kind::Symlink,
            Self::Char(..) => Kind::Char,
            Self::Block(..) => Kind::Block,
            Self::Fifo => Kind::Fifo,
        }
    }
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
    pub links: u16,
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
}

impl ExtFs {
    /// Opens the file system that fills `device`.
    ///
    /// # Effects
    ///
    /// With [`Access::Write`] the device is changed by [`ExtFs::close`] and, when much has
    /// gathered, before. If the value is dropped without `close` the file system is left damaged.
    ///
    /// # Errors
    ///
    /// - [`ExtError::Library`] if there is no ext file system, or it has unknown features.
    /// - [`ExtError::ReadOnly`], for writing only, if its journal has not been replayed, it was
    ///   not unmounted, errors are noted in it, or it has a feature that libext2fs cannot keep
    ///   true.
    /// - [`ExtError::Io`] if the device fails.
    pub fn open(device: Box<dyn Device>, access: Access) -> Result<Self, ExtError> {
        let mut raw = Raw::open(device, access != Access::Read)?;
        if let Access::Write { now } = access {
            if let Some(why) = refusal(&raw) {
                return Err(ExtError::ReadOnly { why });
            }
            raw.set_now(now);
            raw.read_bitmaps()?;
        }
        Ok(Self { raw, dirs: BTreeMap::new(), names: 0, access })
    }

    /// Prepares a file system that `mke2fs` has just made in a new sparse file.
    ///
    /// Every time in it becomes that of [`Access::Write`], whatever clock `mke2fs` read, and all
    /// inode tables are noted to hold zeros where they are not used, which is true of a sparse
    /// file: Linux need not write them on the first mount.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn prepare_new(&mut self) -> Result<(), ExtError> {
        // ext2fs/ext2_fs.h: s_lastcheck, s_mkfs_time; s_first_ino is the first that is a user's.
        const TIMES: [usize; 2] = [0x40, 0x108];
        const FIRST_INODE: usize = 0x54;
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
        let wide = |low, high| u64::from(self.raw.super32(low)) | self.high(high);
        let block = self.raw.block64();
        Usage {
            block: Bytes(block),
            size: Bytes(wide(0x04, 0x150) * block),
            free: Bytes(wide(0x0c, 0x158) * block),
            inodes: self.raw.super32(0x00),
            free_inodes: self.raw.super32(0x10),
        }
    }

    /// Returns the high half of a count of blocks, which only file systems of "64bit" have.
    fn high(&self, at: usize) -> u64 {
        const FEATURE_64BIT: u32 = 0x80;
        if self.raw.super32(0x60) & FEATURE_64BIT == 0 {
            return 0;
        }
        u64::from(self.raw.super32(at)) << 32
    }

    /// Returns the node of the name in the directory, if there is one.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if `dir` is no directory.
    pub fn child(&mut self, dir: Node, name: &[u8]) -> Result<Option<Node>, ExtError> {
        Ok(self.dir(dir.0)?.entries.get(name).map(|entry| Node(entry.inode)))
    }

    /// Returns the node at `path`, without following any symbolic link.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotADirectory`] if a name before the last is something else, a symbolic link
    /// for one.
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Node>, ExtError> {
        let mut at = Node::ROOT;
        for name in names(path) {
            if self.kind(at)? != Kind::Directory {
                return Err(ExtError::NotADirectory { path: path.to_vec() });
            }
            let Some(next) = self.child(at, name)? else { return Ok(None) };
            at = next;
        }
        Ok(Some(at))
    }

    /// Returns the node at `path`, following symbolic links as a process would whose root is the
    /// root of this file system: never out of it.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotADirectory`] and [`ExtError::Loop`].
    pub fn resolve(&mut self, path: &[u8]) -> Result<Option<Node>, ExtError> {
        let mut above = vec![Node::ROOT];
        let mut todo: Vec<Vec<u8>> = names(path).map(<[u8]>::to_vec).collect();
        todo.reverse();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let dir = above.last().copied().unwrap_or(Node::ROOT);
            if name == b".." {
                above.truncate(above.len().max(2) - 1);
                continue;
            }
            if self.kind(dir)? != Kind::Directory {
                return Err(ExtError::NotADirectory { path: path.to_vec() });
            }
            let Some(next) = self.child(dir, &name)? else { return Ok(None) };
            if self.kind(next)? != Kind::Symlink {
                above.push(next);
                continue;
            }
            links += 1;
            if links > MOST_SYMLINKS {
                return Err(ExtError::Loop { path: path.to_vec() });
            }
            let target = self.read_link(next)?;
            if target.starts_with(b"/") {
                above.truncate(1);
            }
            let from = todo.len();
            todo.extend(names(&target).map(<[u8]>::to_vec));
            todo[from..].reverse();
        }
        Ok(above.last().copied())
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

    /// Returns what a node is. The names of a directory that is not written yet do not count.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if the inode is of no known kind; [`ExtError::Library`].
    pub fn stat(&self, node: Node) -> Result<Stat, ExtError> {
        let inode = self.raw.read_inode(node.0)?;
        let wrong = ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" };
        let kind = inode.kind().ok_or(wrong)?;
        let device = if matches!(kind, Kind::Char | Kind::Block) { inode.device() } else { (0, 0) };
        let (attrs, links) = (inode.attrs(), inode.links());
        Ok(Stat { kind, attrs, size: inode.size(), links, device })
    }

    /// Makes something without contents in the directory `parent`.
    ///
    /// # Errors
    ///
    /// [`ExtError::Exists`], [`ExtError::BadName`], [`ExtError::BadTarget`],
    /// [`ExtError::NoInodes`], [`ExtError::NoBlocks`].
    pub fn create(
        &mut self,
        parent: Node,
        name: &[u8],
        new: New<'_>,
        attrs: &Attrs,
    ) -> Result<Node, ExtError> {
        let kind = new.kind();
        self.check_free(parent, name)?;
        if let New::Symlink(target) = new {
            let fits = target.len() < self.raw.block_size();
            if target.is_empty() || !fits || target.contains(&0) {
                return Err(ExtError::BadTarget { target: target.to_vec() });
            }
        }
        let ino = self.raw.take_inode(parent.0, kind == Kind::Directory)?;
        let mut inode = self.fresh(kind, attrs);
        match new {
            New::Directory => {
                self.raw.init_blocks(ino, &mut inode)?;
                self.dirs.insert(ino, Dir::new(parent.0));
            }
            New::Symlink(target) => self.set_target(ino, &mut inode, target)?,
            New::Char(major, minor) | New::Block(major, minor) => inode.set_device(major, minor),
            New::Fifo => (),
        }
        self.raw.write_inode(ino, &mut inode)?;
        self.enter(parent, name, ino, kind)?;
        Ok(Node(ino))
    }

    /// Returns a new inode with one name.
    fn fresh(&self, kind: Kind, attrs: &Attrs) -> Inode {
        let mut inode = self.raw.blank_inode();
        inode.set_attrs(kind, attrs);
        inode.set_made(self.now());
        inode.set_links(1);
        inode
    }

    fn now(&self) -> Time {
        match self.access {
            Access::Read => Time::default(),
            Access::Write { now } => Time { seconds: now, nanos: 0 },
        }
    }

    /// Gives `node`, which is no directory, one more name.
    ///
    /// # Errors
    ///
    /// [`ExtError::IsADirectory`], [`ExtError::TooManyLinks`], and as [`ExtFs::create`].
    pub fn link(&mut self, parent: Node, name: &[u8], node: Node) -> Result<(), ExtError> {
        self.check_free(parent, name)?;
        let mut inode = self.raw.read_inode(node.0)?;
        match inode.kind() {
            Some(Kind::Directory) => Err(ExtError::IsADirectory { name: name.to_vec() }),
            Some(kind) => {
                if inode.links() >= LINK_MAX {
                    return Err(ExtError::TooManyLinks { name: name.to_vec() });
                }
                inode.set_links(inode.links() + 1);
                self.raw.write_inode(node.0, &mut inode)?;
                self.enter(parent, name, node.0, kind)
            }
            None => Err(ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" }),
        }
    }

    /// Takes the name out of the directory; with its last name a file goes, too. A directory
    /// must be empty.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotFound`], [`ExtError::IsADirectory`].
    pub fn unlink(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        let Some(node) = self.child(parent, name)? else {
            return Err(ExtError::NotFound { path: name.to_vec() });
        };
        let mut inode = self.raw.read_inode(node.0)?;
        let directory = inode.kind() == Some(Kind::Directory);
        if directory && !self.dir(node.0)?.entries.is_empty() {
            return Err(ExtError::IsADirectory { name: name.to_vec() });
        }
        if !directory && inode.links() > 1 {
            inode.set_links(inode.links() - 1);
            self.raw.write_inode(node.0, &mut inode)?;
        } else {
            if inode.sectors() > 0 || directory {
                self.raw.release(node.0, &mut inode)?;
            }
            if inode.acl_block() != 0 {
                self.raw.free_xattr_block(node.0, &mut inode)?;
            }
            inode.set_links(0);
            inode.set_deleted(self.now());
            self.raw.write_inode(node.0, &mut inode)?;
            self.raw.free_inode(node.0, directory);
            self.dirs.remove(&node.0);
        }
        let dir = self.dir_mut(parent.0)?;
        dir.entries.remove(name);
        self.names = self.names.saturating_sub(1);
        Ok(())
    }

    /// Sets owner, permissions and time of change.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(node.0)?;
        let wrong = ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" };
        inode.set_attrs(inode.kind().ok_or(wrong)?, attrs);
        self.raw.write_inode(node.0, &mut inode)
    }

    /// Sets extended attributes by their full names: `user.x`, `security.capability`. Access
    /// control lists are `system.posix_acl_access` and `system.posix_acl_default`, with the value
    /// that getxattr(2) gives.
    ///
    /// # Errors
    ///
    /// [`ExtError::XattrsTooLarge`]; [`ExtError::Library`] for a name without a known beginning.
    /// Those before the one that failed are set.
    pub fn set_xattrs(&mut self, node: Node, xattrs: &[(String, Vec<u8>)]) -> Result<(), ExtError> {
        if xattrs.is_empty() { Ok(()) } else { self.raw.set_xattrs(node.0, xattrs) }
    }

    /// Returns the extended attributes of a node, as [`ExtFs::set_xattrs`] takes them.
    ///
    /// # Errors
    ///
    /// [`ExtError::Library`], [`ExtError::Io`].
    pub fn xattrs(&self, node: Node) -> Result<Vec<(String, Vec<u8>)>, ExtError> {
        let mut all = self.raw.xattrs(node.0)?;
        for (name, value) in &mut all {
            if name.starts_with("system.posix_acl_") {
                *value = acl_from_disk(value);
            }
        }
        Ok(all)
    }

    /// Returns an error if a new thing cannot have this name.
    fn check_free(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        check_name(name)?;
        if self.dir(parent.0)?.entries.contains_key(name) {
            return Err(ExtError::Exists { name: name.to_vec() });
        }
        // Memory, not the disk, is what a tree of hard links would fill.
        if self.names >= MOST_NAMES { Err(ExtError::NoBlocks) } else { Ok(()) }
    }
}

/// Returns an access control list as getxattr(2) gives it, from the shorter form on disk, which
/// leaves out numbers that say nothing. libext2fs does this one way only while it lists.
///
/// Source: Linux, `fs/ext4/acl.h` (version 1) and `posix_acl_xattr.h` (version 2).
fn acl_from_disk(disk: &[u8]) -> Vec<u8> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    let mut value = 2_u32.to_le_bytes().to_vec();
    let mut rest = disk.get(4..).unwrap_or_default();
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let tag = u16::from_le_bytes([head[0], head[1]]);
        value.extend_from_slice(head);
        rest = after;
        let id = if tag == USER || tag == GROUP { rest.split_first_chunk::<4>() } else { None };
        match id {
            Some((id, after)) => {
                value.extend_from_slice(id);
                rest = after;
            }
            None => value.extend_from_slice(&u32::MAX.to_le_bytes()),
        }
    }
    value
}

/// Says why a file system must not be written to, if so.
fn refusal(raw: &Raw) -> Option<String> {
    // ext2fs/ext2_fs.h: s_feature_incompat at 0x60, s_feature_ro_compat at 0x64, s_state at 0x3a.
    const NEEDS_RECOVERY: u32 = 0x4;
    const CANNOT: [(u32, &str); 3] =
        [(0x8000, "inline_data"), (0x1_0000, "encrypt"), (0x2_0000, "casefold")];
    const ORPHAN_PRESENT: u32 = 0x1_0000;
    const CANNOT_RO: [(u32, &str); 3] = [(0x100, "quota"), (0x200, "bigalloc"), (0x8000, "verity")];
    const VALID: u16 = 1;
    const ERRORS: u16 = 2;
    let (incompat, ro_compat, state) = (raw.super32(0x60), raw.super32(0x64), raw.super16(0x3a));
    if incompat & NEEDS_RECOVERY != 0 || ro_compat & ORPHAN_PRESENT != 0 {
        return Some("its journal has not been replayed; run e2fsck on it first".to_owned());
    }
    if state & VALID == 0 || state & ERRORS != 0 {
        return Some("it was not unmounted cleanly; run e2fsck on it first".to_owned());
    }
    let mut features = CANNOT.iter().filter(|(bit, _)| incompat & bit != 0);
    let mut ro_features = CANNOT_RO.iter().filter(|(bit, _)| ro_compat & bit != 0);
    let (_, name) = features.next().or_else(|| ro_features.next())?;
    Some(format!("it has the feature `{name}`"))
}
