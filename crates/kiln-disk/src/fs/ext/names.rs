// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names in directories: making, linking, moving and removing them.

use super::inode::Inode;
use super::path::check_name;
use super::{Attrs, ExtError, ExtFs, Kind, MOST_NAMES, Node, dir::Dir};

/// The most names of an inode: `EXT4_LINK_MAX`, Linux, fs/ext4/ext4.h.
pub(super) const LINK_MAX: u16 = 65_000;
/// `EXT4_FEATURE_RO_COMPAT_DIR_NLINK`: a directory with more subdirectories has 1 for a count.
const DIR_NLINK: u32 = 0x20;

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
    /// A socket.
    Socket,
}

impl New<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Directory => Kind::Directory,
            Self::Symlink(_) => Kind::Symlink,
            Self::Char(..) => Kind::Char,
            Self::Block(..) => Kind::Block,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
        }
    }
}

impl ExtFs {
    /// Makes something without contents in the directory `parent`.
    ///
    /// # Errors
    ///
    /// [`ExtError::Exists`], [`ExtError::BadName`], [`ExtError::BadTarget`],
    /// [`ExtError::TooManyLinks`], [`ExtError::NoInodes`], [`ExtError::NoBlocks`]. Nothing has
    /// changed then.
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
        let directory = kind == Kind::Directory;
        if directory {
            self.check_room_for_directory(parent, name)?;
        }
        let ino = self.raw.take_inode(parent.0, directory)?;
        let mut inode = self.fresh(kind, attrs);
        let made = match new {
            New::Directory => {
                inode.set_links(2);
                self.raw.init_blocks(ino, &mut inode)
            }
            New::Symlink(target) => self.set_target(ino, &mut inode, target),
            New::Char(major, minor) | New::Block(major, minor) => {
                inode.set_device(major, minor);
                Ok(())
            }
            New::Fifo | New::Socket => Ok(()),
        };
        let made = made.and_then(|()| self.raw.write_inode(ino, &mut inode));
        self.keep_or_free(ino, &mut inode, made)?;
        if directory {
            self.dirs.insert(ino, Dir::new(parent.0));
        }
        self.enter(parent, name, ino, kind)?;
        Ok(Node(ino))
    }

    /// Returns a new inode with one name.
    pub(super) fn fresh(&self, kind: Kind, attrs: &Attrs) -> Inode {
        let mut inode = self.raw.blank_inode();
        inode.set_made(self.now());
        inode.set_attrs(kind, attrs);
        inode.set_links(1);
        inode
    }

    /// Gives an inode that has just been taken back, with its blocks, if `made` is an error.
    pub(super) fn keep_or_free<T>(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        made: Result<T, ExtError>,
    ) -> Result<T, ExtError> {
        made.or_else(|error| {
            let directory = inode.kind() == Some(Kind::Directory);
            if inode.has_blocks() {
                self.raw.release(ino, inode, 0)?;
            }
            let mut blank = self.raw.blank_inode();
            self.raw.write_inode(ino, &mut blank)?;
            self.raw.free_inode(ino, directory);
            Err(error)
        })
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
                inode.set_changed(self.now());
                self.raw.write_inode(node.0, &mut inode)?;
                self.enter(parent, name, node.0, kind)
            }
            None => Err(ExtError::WrongKind { inode: node.0, wanted: "inode of a known kind" }),
        }
    }

    /// Takes the name of anything but a directory out of the directory `parent`; with its last
    /// name a file goes, too.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotFound`], [`ExtError::IsADirectory`].
    pub fn unlink(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        let node = self.named(parent, name)?;
        if self.kind(node)? == Kind::Directory {
            return Err(ExtError::IsADirectory { name: name.to_vec() });
        }
        self.remove(parent, name)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotFound`], [`ExtError::NotADirectory`], [`ExtError::NotEmpty`].
    pub fn rmdir(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        let node = self.named(parent, name)?;
        if self.kind(node)? != Kind::Directory {
            return Err(ExtError::NotADirectory { path: name.to_vec() });
        }
        self.remove(parent, name)
    }

    /// Takes a name out of the directory `parent`, whatever it names; a directory must be empty.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotFound`], [`ExtError::NotEmpty`].
    pub fn remove(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        let node = self.named(parent, name)?;
        let directory = self.kind(node)? == Kind::Directory;
        if directory && !self.dir(node.0)?.entries.is_empty() {
            return Err(ExtError::NotEmpty { name: name.to_vec() });
        }
        if node == Node::ROOT || node == parent {
            return Err(ExtError::Damaged {
                inode: parent.0,
                what: "a directory that holds itself",
            });
        }
        self.leave(parent, name, if directory { Kind::Directory } else { Kind::File })?;
        self.drop_name(node)
    }

    /// Moves a name, and replaces what has the new one, as rename(2) does: two names of one file
    /// both stay, a directory replaces an empty one only.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotFound`], [`ExtError::BadName`], [`ExtError::IntoItself`] for a directory
    /// that would end below itself, [`ExtError::IsADirectory`], [`ExtError::NotADirectory`],
    /// [`ExtError::NotEmpty`], [`ExtError::TooManyLinks`].
    pub fn rename(&mut self, from: (Node, &[u8]), to: (Node, &[u8])) -> Result<(), ExtError> {
        let (old_parent, old_name) = from;
        let (parent, name) = to;
        let node = self.named(old_parent, old_name)?;
        check_name(name)?;
        let kind = self.kind(node)?;
        let directory = kind == Kind::Directory;
        if directory && self.is_below(parent, node)? {
            return Err(ExtError::IntoItself { name: old_name.to_vec() });
        }
        let replaced = self.child(parent, name)?;
        if replaced == Some(node) {
            return Ok(());
        }
        if let Some(other) = replaced {
            match (directory, self.kind(other)? == Kind::Directory) {
                (false, true) => return Err(ExtError::IsADirectory { name: name.to_vec() }),
                (true, false) => return Err(ExtError::NotADirectory { path: name.to_vec() }),
                _ => self.remove(parent, name)?,
            }
        }
        if directory && parent != old_parent {
            self.check_room_for_directory(parent, name)?;
        }
        self.leave(old_parent, old_name, kind)?;
        self.enter(parent, name, node.0, kind)?;
        if directory && parent != old_parent {
            self.dir_mut(node.0)?.set_parent(parent.0);
        }
        let mut inode = self.raw.read_inode(node.0)?;
        inode.set_changed(self.now());
        self.raw.write_inode(node.0, &mut inode)
    }

    /// Returns whether the directory `dir` is `top` or lies below it.
    fn is_below(&mut self, dir: Node, top: Node) -> Result<bool, ExtError> {
        let mut at = dir.0;
        let mut seen = std::collections::BTreeSet::new();
        while at != Node::ROOT.0 {
            if at == top.0 {
                return Ok(true);
            }
            if !seen.insert(at) {
                return Err(ExtError::Damaged { inode: at, what: "a directory that holds itself" });
            }
            at = self.dir(at)?.parent();
        }
        Ok(top == Node::ROOT)
    }

    fn named(&mut self, parent: Node, name: &[u8]) -> Result<Node, ExtError> {
        self.child(parent, name)?.ok_or_else(|| ExtError::NotFound { path: name.to_vec() })
    }

    /// Takes away one name's worth of a node that has left its directory.
    fn drop_name(&mut self, node: Node) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(node.0)?;
        let directory = inode.kind() == Some(Kind::Directory);
        if !directory && inode.links() > 1 {
            inode.set_links(inode.links() - 1);
            inode.set_changed(self.now());
            return self.raw.write_inode(node.0, &mut inode);
        }
        self.dirs.remove(&node.0);
        self.free_node(node.0)
    }

    /// Frees an inode with all that it holds.
    pub(super) fn free_node(&mut self, ino: u32) -> Result<(), ExtError> {
        let mut inode = self.raw.read_inode(ino)?;
        let directory = inode.kind() == Some(Kind::Directory);
        // Values may live in inodes of their own, which are counted.
        if self.has_value_inodes() {
            self.raw.clear_xattrs(ino)?;
            inode = self.raw.read_inode(ino)?;
        }
        if inode.has_blocks() {
            self.raw.release(ino, &mut inode, 0)?;
        }
        if inode.acl_block() != 0 {
            self.raw.free_xattr_block(ino, &mut inode)?;
        }
        inode.set_links(0);
        inode.set_deleted(self.now());
        self.raw.write_inode(ino, &mut inode)?;
        self.raw.free_inode(ino, directory);
        Ok(())
    }

    /// Notes that a name of the directory `ino` came or went, and `subdirs` directories with it.
    pub(super) fn touch_dir(&mut self, ino: u32, subdirs: i8) -> Result<(), ExtError> {
        if self.new && subdirs == 0 {
            return Ok(());
        }
        let mut inode = self.raw.read_inode(ino)?;
        if !self.new {
            inode.set_modified(self.now());
        }
        // 1 stands for more than can be counted.
        let links = match (inode.links(), subdirs) {
            (links, 0) => links,
            (1, 1..) => 1,
            (1, _) => self.counted_links(ino)?,
            (links, 1..) if links + 1 >= LINK_MAX => 1,
            (links, 1..) => links + 1,
            (links, _) => links.saturating_sub(1).max(2),
        };
        inode.set_links(links);
        self.raw.write_inode(ino, &mut inode)
    }

    /// Returns the link count of a directory from its entries.
    fn counted_links(&mut self, ino: u32) -> Result<u16, ExtError> {
        let nodes: Vec<(u32, Option<Kind>)> =
            self.dir(ino)?.entries.values().map(|e| (e.inode, e.kind())).collect();
        let mut subdirs = 0;
        for (node, kind) in nodes {
            let kind = kind.map_or_else(|| self.kind(Node(node)), Ok)?;
            subdirs += usize::from(kind == Kind::Directory);
        }
        Ok(u16::try_from(subdirs + 2).ok().filter(|&n| n < LINK_MAX).unwrap_or(1))
    }

    /// Returns an error if the directory cannot count another one.
    fn check_room_for_directory(&self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        let full = self.raw.read_inode(parent.0)?.links() + 1 >= LINK_MAX;
        if full && self.raw.super32(0x64) & DIR_NLINK == 0 {
            return Err(ExtError::TooManyLinks { name: name.to_vec() });
        }
        Ok(())
    }

    /// Returns an error if a new thing cannot have this name.
    pub(super) fn check_free(&mut self, parent: Node, name: &[u8]) -> Result<(), ExtError> {
        check_name(name)?;
        if self.dir(parent.0)?.entries.contains_key(name) {
            return Err(ExtError::Exists { name: name.to_vec() });
        }
        // Memory, not the disk, is what a tree of hard links would fill.
        if self.names >= MOST_NAMES { Err(ExtError::NoBlocks) } else { Ok(()) }
    }
}
