// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660, and places that cannot be looked into, as [`Volume`]s: nothing in them changes.

use std::collections::BTreeMap;

use kiln_disk::fs::iso9660::{self, IsoFs, IsoFsError};
use kiln_host::read::Holes;

use super::volume::{Fill, Node, NodeStat, Place, Volume, VolumeError};
use crate::tree::{Attrs, Entry, Kind, New, Xattrs};

/// An open ISO 9660 file system.
#[derive(Debug)]
pub(super) struct Iso {
    fs: IsoFs,
    /// The nodes that were handed out.
    nodes: BTreeMap<Node, iso9660::Node>,
}

impl Iso {
    pub(super) fn new(fs: IsoFs) -> Self {
        let root = iso9660::Node::ROOT;
        Self { fs, nodes: BTreeMap::from([(root.number().into(), root)]) }
    }

    fn of(&self, node: Node) -> Result<iso9660::Node, VolumeError> {
        let missing = || VolumeError::Failed("no such file".into());
        self.nodes.get(&node).copied().ok_or_else(missing)
    }
}

/// Sorts what went wrong.
pub(super) fn error(error: IsoFsError) -> VolumeError {
    VolumeError::Failed(Box::new(error))
}

/// A file system that is known to be there and cannot be looked into: its place is not to be
/// taken for an empty directory.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) fs: String,
    pub(super) why: String,
}

impl Closed {
    fn refused<T>(&self) -> Result<T, VolumeError> {
        Err(VolumeError::Refused(self.why.clone()))
    }
}

fn read_only<T>() -> Result<T, VolumeError> {
    Err(VolumeError::Refused("ISO 9660 cannot be changed".to_owned()))
}

/// What a volume that cannot be changed answers to changes.
macro_rules! no_changes {
    ($answer:expr) => {
        fn create_file(
            &mut self,
            _: Place<'_>,
            _: &mut dyn Holes,
            _: &Attrs,
        ) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn replace(
            &mut self,
            _: Place<'_>,
            _: &mut dyn Holes,
            _: &Attrs,
        ) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn create(&mut self, _: Place<'_>, _: &New, _: &Attrs) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn link(&mut self, _: Node, _: Place<'_>) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn rename(&mut self, _: Place<'_>, _: Place<'_>) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn remove(&mut self, _: Place<'_>) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn set_attrs(&mut self, _: Node, _: &Attrs) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn set_xattrs(&mut self, _: Node, _: &Xattrs) -> Result<(), VolumeError> {
            $answer(self)
        }

        fn close(self: Box<Self>) -> Result<(), VolumeError> {
            Ok(())
        }
    };
}

impl Volume for Iso {
    fn fs(&self) -> &str {
        "iso9660"
    }

    fn root(&self) -> Node {
        iso9660::Node::ROOT.number().into()
    }

    fn child(&mut self, place: Place<'_>) -> Result<Option<Node>, VolumeError> {
        let child = self.fs.child(self.of(place.dir)?, place.name).map_err(error)?;
        let Some(node) = child else { return Ok(None) };
        self.nodes.insert(node.number().into(), node);
        Ok(Some(node.number().into()))
    }

    fn stat(&mut self, node: Node) -> Result<NodeStat, VolumeError> {
        let iso9660::Stat { kind, attrs, size, links, device } = self.fs.stat(self.of(node)?);
        Ok(NodeStat { kind, attrs, size, links, device })
    }

    fn list(&mut self, dir: Node) -> Result<Vec<Entry>, VolumeError> {
        let listed = self.fs.list(self.of(dir)?).map_err(error)?;
        let entry = |one: iso9660::Listed| Entry { name: one.name, kind: one.kind };
        Ok(listed.into_iter().map(entry).collect())
    }

    fn read_link(&mut self, link: Node) -> Result<Vec<u8>, VolumeError> {
        self.fs.read_link(self.of(link)?).map_err(error)
    }

    fn read_at(&mut self, file: Node, at: u64, buf: &mut [u8]) -> Result<usize, VolumeError> {
        self.fs.read_at(self.of(file)?, at, buf).map_err(error)
    }

    fn xattrs(&mut self, _node: Node) -> Result<Xattrs, VolumeError> {
        Ok(Xattrs::new())
    }

    fn fill(&mut self) -> Result<Fill, VolumeError> {
        Ok(Fill { size: self.fs.size(), free: 0, inodes: 0, free_inodes: 0 })
    }

    no_changes!(|_: &Self| read_only());
}

impl Volume for Closed {
    fn fs(&self) -> &str {
        &self.fs
    }

    fn root(&self) -> Node {
        0
    }

    fn child(&mut self, _place: Place<'_>) -> Result<Option<Node>, VolumeError> {
        self.refused()
    }

    fn stat(&mut self, _node: Node) -> Result<NodeStat, VolumeError> {
        let attrs = Attrs { mode: 0o755, ..Attrs::default() };
        Ok(NodeStat { kind: Kind::Directory, attrs, size: 0, links: 1, device: (0, 0) })
    }

    fn list(&mut self, _dir: Node) -> Result<Vec<Entry>, VolumeError> {
        self.refused()
    }

    fn read_link(&mut self, _link: Node) -> Result<Vec<u8>, VolumeError> {
        self.refused()
    }

    fn read_at(&mut self, _: Node, _: u64, _: &mut [u8]) -> Result<usize, VolumeError> {
        self.refused()
    }

    fn xattrs(&mut self, _node: Node) -> Result<Xattrs, VolumeError> {
        self.refused()
    }

    fn fill(&mut self) -> Result<Fill, VolumeError> {
        Ok(Fill { size: 0, free: 0, inodes: 0, free_inodes: 0 })
    }

    no_changes!(|closed: &Self| closed.refused());
}
