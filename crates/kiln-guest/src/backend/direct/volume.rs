// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One file system as [`DirectTree`](super::DirectTree) needs it: nodes by number, one name at a
//! time. Paths, links and mounts are none of its business.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;

use kiln_host::read::Holes;

use crate::tree::{Attrs, Entry, Kind, New, Xattrs};

/// The number of a node: an inode, or what takes its place.
pub(super) type Node = u64;

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeStat {
    pub(super) kind: Kind,
    pub(super) attrs: Attrs,
    pub(super) size: u64,
    pub(super) links: u32,
    pub(super) device: (u32, u32),
}

/// How full a file system is: bytes and inodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) size: u64,
    pub(super) free: u64,
    pub(super) inodes: u64,
    pub(super) free_inodes: u64,
}

/// Why a file system did not do what it was asked. The caller knows the path.
#[derive(Debug)]
pub(super) enum VolumeError {
    /// The name is taken.
    Exists,
    /// The directory is not empty.
    NotEmpty,
    /// No room for it.
    NoSpace,
    /// It cannot be done on this file system.
    Refused(String),
    /// What was to be written could not be read.
    Contents(io::Error),
    /// Anything else, mostly a damaged file system.
    Failed(Box<dyn Error + Send + Sync>),
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) dir: Node,
    pub(super) name: &'a [u8],
}

/// A file system.
///
/// Callers see to it that `dir` is a directory, `file` a file, and that a name that is to be made
/// is free.
pub(super) trait Volume: fmt::Debug {
    /// The kind, as `/etc/fstab` calls it.
    fn fs(&self) -> &str;

    fn root(&self) -> Node;

    fn child(&mut self, place: Place<'_>) -> Result<Option<Node>, VolumeError>;

    fn stat(&mut self, node: Node) -> Result<NodeStat, VolumeError>;

    /// Sorted by name.
    fn list(&mut self, dir: Node) -> Result<Vec<Entry>, VolumeError>;

    fn read_link(&mut self, link: Node) -> Result<Vec<u8>, VolumeError>;

    /// Returns how many bytes: 0 at the end only.
    fn read_at(&mut self, file: Node, at: u64, buf: &mut [u8]) -> Result<usize, VolumeError>;

    /// Returns the ranges of a file that are no holes, as [`Tree::data`](crate::tree::Tree::data).
    fn data(&mut self, _file: Node) -> Result<Option<Vec<Range<u64>>>, VolumeError> {
        Ok(None)
    }

    fn create_file(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError>;

    /// Gives a file new contents and the time; all else stays.
    fn replace(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError>;

    fn create(&mut self, place: Place<'_>, new: &New, attrs: &Attrs) -> Result<(), VolumeError>;

    fn link(&mut self, file: Node, place: Place<'_>) -> Result<(), VolumeError>;

    /// What stands at `to`, if anything, has been seen to be replaceable.
    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<(), VolumeError>;

    /// Removes the name of a file or of an empty directory.
    fn remove(&mut self, place: Place<'_>) -> Result<(), VolumeError>;

    fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), VolumeError>;

    fn xattrs(&mut self, node: Node) -> Result<Xattrs, VolumeError>;

    fn set_xattrs(&mut self, node: Node, xattrs: &Xattrs) -> Result<(), VolumeError>;

    fn fill(&mut self) -> Result<Fill, VolumeError>;

    /// Gives the file system another UUID; `false` if it cannot have another one.
    fn set_uuid(&mut self, _uuid: [u8; 16]) -> Result<bool, VolumeError> {
        Ok(false)
    }

    /// Brings everything onto the device.
    fn close(self: Box<Self>) -> Result<(), VolumeError>;
}
