// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT as a [`Volume`]: no owners, no links, no extended attributes, and of the permissions only
//! whether a file may be written.

use std::collections::BTreeMap;

use kiln_disk::fs::fat::{self, FatError, FatFs};
use kiln_host::read::Holes;

use super::volume::{Fill, Node, NodeStat, Place, Volume, VolumeError};
use crate::tree::{Attrs, Entry, New, Xattrs};

/// The permissions that a file on FAT can have.
const WRITABLE: u32 = 0o755;
const READ_ONLY: u32 = 0o555;

/// An open FAT file system.
#[derive(Debug)]
pub(super) struct Fat {
    fs: FatFs,
    /// The nodes that were handed out.
    nodes: BTreeMap<Node, fat::Node>,
    /// Whether anything was changed: if not, nothing is written.
    changed: bool,
}

impl Fat {
    pub(super) fn new(fs: FatFs) -> Self {
        let root = fat::Node::ROOT;
        Self { fs, nodes: BTreeMap::from([(root.number().into(), root)]), changed: false }
    }

    fn of(&self, node: Node) -> Result<fat::Node, VolumeError> {
        let missing = || VolumeError::Failed("no such file".into());
        self.nodes.get(&node).copied().ok_or_else(missing)
    }

    /// Returns the file system to be changed.
    fn change(&mut self) -> &mut FatFs {
        self.changed = true;
        &mut self.fs
    }

    fn hand_out(&mut self, node: fat::Node) -> Node {
        let number = node.number().into();
        self.nodes.insert(number, node);
        number
    }
}

/// Sorts what went wrong.
pub(super) fn error(error: FatError) -> VolumeError {
    match error {
        FatError::Exists { .. } => VolumeError::Exists,
        FatError::NotEmpty { .. } => VolumeError::NotEmpty,
        FatError::NoClusters | FatError::DirectoryFull { .. } => VolumeError::NoSpace,
        FatError::Data { source } => VolumeError::Contents(source),
        FatError::BadPath { .. }
        | FatError::ReadOnly
        | FatError::TooLarge { .. }
        | FatError::IntoItself { .. } => VolumeError::Refused(error.to_string()),
        other => VolumeError::Failed(Box::new(other)),
    }
}

fn refused<T>(what: &str) -> Result<T, VolumeError> {
    Err(VolumeError::Refused(format!("FAT has no {what}")))
}

impl Volume for Fat {
    fn fs(&self) -> &str {
        "vfat"
    }

    fn root(&self) -> Node {
        fat::Node::ROOT.number().into()
    }

    fn child(&mut self, place: Place<'_>) -> Result<Option<Node>, VolumeError> {
        let child = self.fs.child(self.of(place.dir)?, place.name).map_err(error)?;
        Ok(child.map(|node| self.hand_out(node)))
    }

    fn stat(&mut self, node: Node) -> Result<NodeStat, VolumeError> {
        let fat::Stat { kind, attrs, size } = self.fs.stat(self.of(node)?).map_err(error)?;
        Ok(NodeStat { kind, attrs, size, links: 1, device: (0, 0) })
    }

    fn list(&mut self, dir: Node) -> Result<Vec<Entry>, VolumeError> {
        let listed = self.fs.list(self.of(dir)?).map_err(error)?;
        let entry = |one: fat::Listed| Entry { name: one.name.into_bytes(), kind: one.kind };
        Ok(listed.into_iter().map(entry).collect())
    }

    fn read_link(&mut self, _link: Node) -> Result<Vec<u8>, VolumeError> {
        refused("links")
    }

    fn read_at(&mut self, file: Node, at: u64, buf: &mut [u8]) -> Result<usize, VolumeError> {
        self.fs.read_at(self.of(file)?, at, buf).map_err(error)
    }

    fn create_file(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let dir = self.of(place.dir)?;
        self.change().write_file(dir, place.name, contents, attrs).map_err(error)?;
        Ok(())
    }

    fn replace(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let dir = self.of(place.dir)?;
        let node = self.fs.child(dir, place.name).map_err(error)?;
        let node = node.ok_or_else(|| VolumeError::Failed("the name is gone".into()))?;
        let mode = self.fs.stat(node).map_err(error)?.attrs.mode;
        let attrs = Attrs { mode, ..*attrs };
        self.change().write_file(dir, place.name, contents, &attrs).map_err(error)?;
        Ok(())
    }

    fn create(&mut self, place: Place<'_>, new: &New, attrs: &Attrs) -> Result<(), VolumeError> {
        match new {
            New::Directory => {
                let dir = self.of(place.dir)?;
                self.change().mkdir(dir, place.name, attrs).map_err(error)?;
                Ok(())
            }
            New::Symlink(_) => refused("links"),
            New::Char(..) | New::Block(..) => refused("devices"),
            New::Fifo | New::Socket => refused("pipes and sockets"),
        }
    }

    fn link(&mut self, _file: Node, _place: Place<'_>) -> Result<(), VolumeError> {
        refused("links")
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<(), VolumeError> {
        let from = (self.of(from.dir)?, from.name);
        let to = (self.of(to.dir)?, to.name);
        self.change().rename(from, to).map_err(error)
    }

    fn remove(&mut self, place: Place<'_>) -> Result<(), VolumeError> {
        let dir = self.of(place.dir)?;
        match self.change().unlink(dir, place.name) {
            Err(FatError::IsADirectory { .. }) => {
                self.change().rmdir(dir, place.name).map_err(error)
            }
            done => done.map_err(error),
        }
    }

    fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), VolumeError> {
        let node = self.of(node)?;
        let old = self.fs.stat(node).map_err(error)?.attrs;
        if (attrs.uid, attrs.gid) != (old.uid, old.gid) {
            return refused("owners");
        }
        if attrs.mode != old.mode && ![WRITABLE, READ_ONLY].contains(&attrs.mode) {
            return refused("permissions but 0755 and 0555");
        }
        self.change().set_attrs(node, Some(attrs.mode), Some(attrs.mtime)).map_err(error)
    }

    fn xattrs(&mut self, _node: Node) -> Result<Xattrs, VolumeError> {
        Ok(Xattrs::new())
    }

    fn set_xattrs(&mut self, _node: Node, xattrs: &Xattrs) -> Result<(), VolumeError> {
        if xattrs.is_empty() { Ok(()) } else { refused("extended attributes") }
    }

    fn fill(&mut self) -> Result<Fill, VolumeError> {
        let usage = self.fs.usage().map_err(error)?;
        Ok(Fill { size: usage.size.0, free: usage.free.0, inodes: 0, free_inodes: 0 })
    }

    fn close(self: Box<Self>) -> Result<(), VolumeError> {
        if self.changed { self.fs.close().map_err(error) } else { Ok(()) }
    }
}
