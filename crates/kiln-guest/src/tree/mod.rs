// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's tree of files, whatever holds it: a disk image edited in process, an appliance, a
//! kernel mount. Inspection, edits and seals are written against [`Tree`] alone.
//!
//! Beside the trait there are functions for all trees: [`walk::glob`], [`walk::find`],
//! [`walk::remove_all`], [`visit`], [`find_all`], [`copy`], [`empty`], [`chown_all`],
//! [`make_dirs`], [`read_text`], [`edit_bytes`].
//!
//! **Invariant:** the tree is hostile. A [`GuestPath`] is taken from the guest's own root: its
//! symbolic links, absolute ones and `..` included, lead to places of the guest or to nothing,
//! never to the host.

mod copy;
mod error;
mod glob;
#[cfg(test)]
pub(crate) mod memory;
mod owner;
mod path;
mod recorder;
mod text;
mod visit;
pub mod walk;

use std::io::{Read, Write};
use std::ops::Range;

pub use copy::copy;
pub use error::TreeError;
pub use kiln_disk::fs::ext::{Attrs, Kind, Time};
use kiln_host::read::Holes;
use kiln_spec::Bytes;
pub use owner::{chown, chown_all};
pub use path::GuestPath;
pub use recorder::{Edit, Edits, How, Recorder};
pub use text::{
    MOST_TEXT, edit_bytes, exists, inherited, is_dir, is_file, make_dirs, read_bytes, read_text,
    write_bytes,
};
pub use visit::{Found, Step, empty, find_all, visit};

/// What one place of a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What sort of thing.
    pub kind: Kind,
    /// Owner, permissions, time of change.
    pub attrs: Attrs,
    /// Bytes of contents, or of a link's target.
    pub size: u64,
    /// How many names it has.
    pub links: u32,
    /// Major and minor number of a device; zeros for anything else.
    pub device: (u32, u32),
    /// The file system that holds it, and its number there: two places with the same pair are
    /// one file.
    pub identity: (u32, u64),
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// What sort of thing has it.
    pub kind: Kind,
}

/// Something without contents that [`Tree::make`] puts into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum New {
    /// An empty directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A character device: major and minor number.
    Char(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What to change of an inode; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The twelve bits of permission.
    pub mode: Option<u32>,
    /// User number of the owner.
    pub uid: Option<u32>,
    /// Group number.
    pub gid: Option<u32>,
    /// Time of the last change.
    pub mtime: Option<Time>,
}

/// How full one mounted file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Where in the guest's tree it is mounted.
    pub mounted_on: GuestPath,
    /// What holds it, as the guest would call it: `sda1`.
    pub source: String,
    /// Its kind: `ext4`, `vfat`.
    pub fs: String,
    /// Bytes that it has for files.
    pub size: Bytes,
    /// Bytes that are free.
    pub free: Bytes,
    /// How many inodes there are; 0 where that is no fixed number.
    pub inodes: u64,
    /// How many of them are free.
    pub free_inodes: u64,
}

/// Named bytes beside a file's contents, by full names: `user.x`, `security.selinux`. Access
/// control lists are `system.posix_acl_access` and `system.posix_acl_default`, with the value
/// that getxattr(2) gives.
pub type Xattrs = Vec<(String, Vec<u8>)>;

/// A guest's files.
///
/// All functions but [`Tree::lstat`], [`Tree::read_link`] and those that make or remove a name
/// follow a symbolic link at the end of the path; those on the way are always followed.
///
/// # Errors
///
/// Each function: [`TreeError::NotFound`] if there is nothing at the path, or its folder is
/// missing; [`TreeError::NotADirectory`], [`TreeError::Loop`]; for changes also
/// [`TreeError::NoSpace`] and [`TreeError::ReadOnly`]; [`TreeError::Backend`] if what holds the
/// tree fails.
#[expect(clippy::missing_errors_doc, reason = "said once, for all, above")]
pub trait Tree {
    /// Returns what is at a path, behind links; `None` if there is nothing.
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError>;

    /// Returns what is at a path, the link itself if it is one; `None` if there is nothing.
    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError>;

    /// Returns the names in a directory, sorted, without `.` and `..`.
    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError>;

    /// Returns the target of a symbolic link.
    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError>;

    /// Writes a file's contents to `out`; returns how many bytes they are. Long runs of zeros
    /// may be handed on as zeros.
    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError>;

    /// Returns the ranges of a file's contents that are no holes, in order and apart from each
    /// other. What is only set aside for the file is no hole. `None` where the file system does
    /// not tell.
    fn data(&mut self, _path: &GuestPath) -> Result<Option<Vec<Range<u64>>>, TreeError> {
        Ok(None)
    }

    /// Puts contents into a file. One that is there keeps its inode, and with that its names,
    /// owner, permissions and extended attributes; a new one gets `attrs`. Runs of zeros may
    /// become holes. The time of change is that of `attrs`.
    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError>;

    /// As [`Tree::write`], with contents whose holes are known: what is none is written, zeros
    /// too, where the file system can tell.
    fn write_with_holes(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        self.write(path, contents, attrs)
    }

    /// Makes something without contents. [`TreeError::Exists`] if the name is taken.
    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError>;

    /// Gives a file another name, on the same file system.
    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError>;

    /// Moves a name, on the same file system; replaces what has the new one as rename(2) does.
    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError>;

    /// Removes the name of anything but a directory.
    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError>;

    /// Removes an empty directory. [`TreeError::NotEmpty`] if it is not.
    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError>;

    /// Changes owner, permissions, time; of a link itself if `path` ends in one and `follow` is
    /// false.
    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError>;

    /// Returns the extended attributes; of a link itself, not of what it leads to.
    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError>;

    /// Makes the extended attributes these and no others; of a link itself.
    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError>;

    /// Returns how full each mounted file system is, the root first.
    fn usage(&mut self) -> Result<Vec<Usage>, TreeError>;

    /// Returns a file's contents, which may have `most` bytes.
    ///
    /// # Errors
    ///
    /// Also [`TreeError::TooLarge`].
    fn read(&mut self, path: &GuestPath, most: u64) -> Result<Vec<u8>, TreeError> {
        let Some(stat) = self.stat(path)? else {
            return Err(TreeError::NotFound { path: path.clone() });
        };
        if stat.size > most {
            return Err(TreeError::TooLarge { path: path.clone(), most: Bytes(most) });
        }
        let mut bytes = Vec::new();
        self.copy_out(path, &mut bytes)?;
        Ok(bytes)
    }
}
