// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ext2, ext3 and ext4 as a [`Volume`].

use std::io::Read;

use kiln_disk::fs::ext::{self, ExtError, ExtFs, Listed};

use super::volume::{Fill, Node, NodeStat, Place, Volume, VolumeError};
use crate::tree::{Attrs, Entry, New, Xattrs};

/// An open ext file system. Its nodes are known by the numbers of their inodes.
#[derive(Debug)]
pub(super) struct Ext {
    fs: ExtFs,
}

impl Ext {
    pub(super) fn new(fs: ExtFs) -> Self {
        Self { fs }
    }

    fn there(&mut self, place: Place<'_>) -> Result<ext::Node, VolumeError> {
        let node = self.fs.child(of(place.dir)?, place.name).map_err(error)?;
        node.ok_or_else(|| VolumeError::Failed("the name is gone".into()))
    }
}

/// Returns the inode of a number that came from here.
fn of(node: Node) -> Result<ext::Node, VolumeError> {
    let wrong = |_| VolumeError::Failed("no such inode".into());
    u32::try_from(node).map(ext::Node::from_number).map_err(wrong)
}

/// Sorts what libext2fs said.
pub(super) fn error(error: ExtError) -> VolumeError {
    match error {
        ExtError::Exists { .. } => VolumeError::Exists,
        ExtError::NotEmpty { .. } => VolumeError::NotEmpty,
        ExtError::NoBlocks | ExtError::NoInodes => VolumeError::NoSpace,
        ExtError::Data { source } => VolumeError::Contents(source),
        ExtError::ReadOnly { why } => VolumeError::Refused(why),
        ExtError::BadName { .. }
        | ExtError::BadTarget { .. }
        | ExtError::IntoItself { .. }
        | ExtError::TooManyLinks { .. }
        | ExtError::XattrsTooLarge => VolumeError::Refused(error.to_string()),
        other => VolumeError::Failed(Box::new(other)),
    }
}

impl Volume for Ext {
    fn fs(&self) -> &str {
        "ext4"
    }

    fn root(&self) -> Node {
        ext::Node::ROOT.number().into()
    }

    fn child(&mut self, place: Place<'_>) -> Result<Option<Node>, VolumeError> {
        let child = self.fs.child(of(place.dir)?, place.name).map_err(error)?;
        Ok(child.map(|node| node.number().into()))
    }

    fn stat(&mut self, node: Node) -> Result<NodeStat, VolumeError> {
        let stat = self.fs.stat(of(node)?).map_err(error)?;
        let ext::Stat { kind, attrs, size, links, device } = stat;
        Ok(NodeStat { kind, attrs, size, links, device })
    }

    fn list(&mut self, dir: Node) -> Result<Vec<Entry>, VolumeError> {
        let listed = self.fs.list(of(dir)?).map_err(error)?;
        let entry = |Listed { name, node, .. }| {
            Ok(Entry { name, kind: self.fs.stat(node).map_err(error)?.kind })
        };
        listed.into_iter().map(entry).collect()
    }

    fn read_link(&mut self, link: Node) -> Result<Vec<u8>, VolumeError> {
        self.fs.read_link(of(link)?).map_err(error)
    }

    fn read_at(&mut self, file: Node, at: u64, buf: &mut [u8]) -> Result<usize, VolumeError> {
        self.fs.read_at(of(file)?, at, buf).map_err(error)
    }

    fn create_file(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let dir = of(place.dir)?;
        self.fs.create_file_from(dir, place.name, attrs, contents).map_err(error)?;
        Ok(())
    }

    fn replace(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let node = self.there(place)?;
        let old = self.fs.stat(node).map_err(error)?.attrs;
        self.fs.overwrite(node, contents).map_err(error)?;
        self.fs.set_attrs(node, &Attrs { mtime: attrs.mtime, ..old }).map_err(error)
    }

    fn create(&mut self, place: Place<'_>, new: &New, attrs: &Attrs) -> Result<(), VolumeError> {
        let new = match new {
            New::Directory => ext::New::Directory,
            New::Symlink(target) => ext::New::Symlink(target),
            New::Char(major, minor) => ext::New::Char(*major, *minor),
            New::Block(major, minor) => ext::New::Block(*major, *minor),
            New::Fifo => ext::New::Fifo,
            New::Socket => ext::New::Socket,
        };
        self.fs.create(of(place.dir)?, place.name, new, attrs).map_err(error)?;
        Ok(())
    }

    fn link(&mut self, file: Node, place: Place<'_>) -> Result<(), VolumeError> {
        self.fs.link(of(place.dir)?, place.name, of(file)?).map_err(error)
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<(), VolumeError> {
        let from = (of(from.dir)?, from.name);
        self.fs.rename(from, (of(to.dir)?, to.name)).map_err(error)
    }

    fn remove(&mut self, place: Place<'_>) -> Result<(), VolumeError> {
        self.fs.remove(of(place.dir)?, place.name).map_err(error)
    }

    fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), VolumeError> {
        self.fs.set_attrs(of(node)?, attrs).map_err(error)
    }

    fn xattrs(&mut self, node: Node) -> Result<Xattrs, VolumeError> {
        self.fs.xattrs(of(node)?).map_err(error)
    }

    fn set_xattrs(&mut self, node: Node, xattrs: &Xattrs) -> Result<(), VolumeError> {
        self.fs.replace_xattrs(of(node)?, xattrs).map_err(error)
    }

    fn fill(&mut self) -> Fill {
        let usage = self.fs.usage();
        Fill {
            size: usage.size.0,
            free: usage.free.0,
            inodes: usage.inodes.into(),
            free_inodes: usage.free_inodes.into(),
        }
    }

    fn close(self: Box<Self>) -> Result<(), VolumeError> {
        self.fs.close().map_err(error)
    }
}
