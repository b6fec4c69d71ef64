// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ext2, ext3 and ext4 as a [`Volume`].

use std::ops::Range;

use kiln_disk::device::SharedDevice;
use kiln_disk::fs::ext::{self, Access, ExtError, ExtFs, Listed};
use kiln_disk::fs::identify::{ContentKind, identify};
use kiln_host::read::Holes;

use super::volume::{Fill, Node, NodeStat, Place, Volume, VolumeError};
use crate::tree::{Attrs, Entry, New, Xattrs};

/// An open ext file system. Its nodes are known by the numbers of their inodes.
///
/// It is opened for reading, and anew for writing when something is first changed, so that one
/// in which nothing changes stays as it is to the byte.
#[derive(Debug)]
pub(super) struct Ext {
    fs: ExtFs,
    kind: &'static str,
    device: SharedDevice,
    /// The time of changes. `None` once it is open for writing.
    now: Option<i64>,
}

impl Ext {
    pub(super) fn open(device: SharedDevice, now: i64) -> Result<Self, ExtError> {
        let fs = ExtFs::open(Box::new(device.clone()), Access::Read)?;
        let content = identify(&mut device.clone());
        let kind = content.map_or(ContentKind::Ext4, |content| content.kind).name();
        Ok(Self { fs, kind, device, now: Some(now) })
    }

    /// Returns the file system to be changed.
    fn change(&mut self) -> Result<&mut ExtFs, VolumeError> {
        if let Some(now) = self.now {
            let device = Box::new(self.device.clone());
            self.fs = ExtFs::open(device, Access::Write { now }).map_err(error)?;
            self.now = None;
        }
        Ok(&mut self.fs)
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
        self.kind
    }

    fn set_uuid(&mut self, uuid: [u8; 16]) -> Result<bool, VolumeError> {
        self.change()?.set_uuid(uuid).map_err(error)
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

    fn data(&mut self, file: Node) -> Result<Option<Vec<Range<u64>>>, VolumeError> {
        self.fs.data_ranges(of(file)?).map_err(error)
    }

    fn create_file(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let dir = of(place.dir)?;
        let contents = (None, contents);
        let made = self.change()?.create_file_with_holes(dir, place.name, attrs, contents);
        made.map_err(error)?;
        Ok(())
    }

    fn replace(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let node = self.there(place)?;
        let old = self.fs.stat(node).map_err(error)?.attrs;
        self.change()?.overwrite_with_holes(node, contents).map_err(error)?;
        self.change()?.set_attrs(node, &Attrs { mtime: attrs.mtime, ..old }).map_err(error)
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
        self.change()?.create(of(place.dir)?, place.name, new, attrs).map_err(error)?;
        Ok(())
    }

    fn link(&mut self, file: Node, place: Place<'_>) -> Result<(), VolumeError> {
        self.change()?.link(of(place.dir)?, place.name, of(file)?).map_err(error)
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<(), VolumeError> {
        let from = (of(from.dir)?, from.name);
        self.change()?.rename(from, (of(to.dir)?, to.name)).map_err(error)
    }

    fn remove(&mut self, place: Place<'_>) -> Result<(), VolumeError> {
        self.change()?.remove(of(place.dir)?, place.name).map_err(error)
    }

    fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), VolumeError> {
        self.change()?.set_attrs(of(node)?, attrs).map_err(error)
    }

    fn xattrs(&mut self, node: Node) -> Result<Xattrs, VolumeError> {
        self.fs.xattrs(of(node)?).map_err(error)
    }

    fn set_xattrs(&mut self, node: Node, xattrs: &Xattrs) -> Result<(), VolumeError> {
        self.change()?.replace_xattrs(of(node)?, xattrs).map_err(error)
    }

    fn fill(&mut self) -> Result<Fill, VolumeError> {
        let usage = self.fs.usage();
        Ok(Fill {
            size: usage.size.0,
            free: usage.free.0,
            inodes: usage.inodes.into(),
            free_inodes: usage.free_inodes.into(),
        })
    }

    fn close(self: Box<Self>) -> Result<(), VolumeError> {
        // Nothing was changed in one that was only read.
        if self.now.is_none() { self.fs.close().map_err(error) } else { Ok(()) }
    }
}
