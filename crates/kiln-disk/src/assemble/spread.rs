// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A finished tree spread over the file systems of several partitions.
//!
//! The tree is completed in one file system of its own, the *stage*, so that all that looks into
//! it sees it whole; from there each partition gets what lies at its mount point. A hard link from
//! one partition to another becomes a file of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use kiln_host::Host;
use kiln_host::tools::mke2fs::Ext4;
use kiln_spec::Bytes;

use super::AssembleError;
use super::foreign::{self, Foreign};
use super::layout::{Layout, VolumeKind};
use super::output::Output;
use super::plan::{PlacedVolume, Plan};
use crate::device::{Device, Window};
use crate::fs::ext::{Access, Contents, ExtError, ExtFs, Kind, New, Node, Stat};
use crate::fs::fat::{FatError, FatImage};
use crate::table::gpt::Extent;

/// The most bytes of all files of a FAT file system: they are held in memory.
const MOST_FAT: u64 = 512 << 20;
/// The most files and folders of one.
const MOST_FAT_FILES: usize = 10_000;

/// Fills the root and all volumes with what `stage` has for them.
pub(super) fn spread(
    stage: &mut ExtFs,
    layout: &Layout,
    plan: &Plan,
    (host, output): (&dyn Host, &Output),
) -> Result<(), AssembleError> {
    let mounts: BTreeSet<_> =
        plan.volumes.iter().map(|placed| placed.volume.mount.clone().into_bytes()).collect();
    let mut spread = Spread { stage, layout, host, output, mounts };
    let mut foreign = Vec::new();
    match plan.root_kind {
        kind if plan.lvm.is_some() => {
            let mut own = spread.apart(kind, &plan.ext4(layout), ("", plan.root))?;
            own.group.clone_from(&plan.lvm);
            foreign.push(own);
        }
        VolumeKind::Ext4 | VolumeKind::Vfat => spread.ext(&plan.ext4(layout), plan.root, "")?,
        // Alone, it gets what the stage has.
        kind if plan.volumes.is_empty() => {
            let mut own = Foreign::new(kind, &plan.ext4(layout), ("", plan.root), output.work());
            own.from = output.stage_path();
            foreign.push(own);
        }
        kind => foreign.push(spread.apart(kind, &plan.ext4(layout), ("", plan.root))?),
    }
    for placed in &plan.volumes {
        let (make, place) = (placed.ext4(layout), placed.place);
        let mount = placed.volume.mount.as_str();
        match placed.volume.kind {
            VolumeKind::Ext4 => spread.ext(&make, place, mount)?,
            VolumeKind::Vfat => spread.fat(placed)?,
            kind => foreign.push(spread.apart(kind, &make, (mount, place))?),
        }
    }
    foreign::fill(&foreign, &layout.fish, host, output)
}

struct Spread<'a> {
    stage: &'a mut ExtFs,
    layout: &'a Layout,
    host: &'a dyn Host,
    output: &'a Output,
    mounts: BTreeSet<Vec<u8>>,
}

impl Spread<'_> {
    /// Makes an ext4 file system and fills it.
    fn ext(&mut self, make: &Ext4, place: Extent, mount: &str) -> Result<(), AssembleError> {
        let to = self.output.format(place, make, self.host)?;
        self.copy(Box::new(to), mount, place)
    }

    /// Puts what belongs into a file system that no code of ours writes into one of its own.
    fn apart(
        &mut self,
        kind: VolumeKind,
        make: &Ext4,
        (mount, place): (&str, Extent),
    ) -> Result<Foreign, AssembleError> {
        let own = Foreign::new(kind, make, (mount, place), self.output.work());
        // Kinds differ in what they need for the same files.
        let size = if kind.is_foreign() { self.layout.size.0 } else { make.size };
        let make = Ext4 { size, ..make.clone() };
        let to = self.output.format_apart(&own.from, &make, self.host)?;
        self.copy(Box::new(to), mount, place)?;
        Ok(own)
    }

    /// Copies what lies at a mount point into an empty ext4 file system.
    fn copy(
        &mut self,
        to: Box<dyn Device>,
        mount: &str,
        place: Extent,
    ) -> Result<(), AssembleError> {
        let failed = |source| match source {
            ExtError::NoBlocks | ExtError::NoInodes => full(mount, place),
            source => AssembleError::Tree { path: mount.as_bytes().to_vec(), source },
        };
        let now = i64::try_from(self.layout.time).unwrap_or(i64::MAX);
        let mut fs = ExtFs::open(to, Access::Write { now }).map_err(failed)?;
        fs.prepare_new().map_err(failed)?;
        let top = self.stage.lookup(mount.as_bytes()).map_err(failed)?;
        let top = top.unwrap_or(Node::ROOT);
        let (from, mounts) = (&mut *self.stage, &self.mounts);
        let mut copy = Copy { from, to: &mut fs, mounts, links: BTreeMap::new() };
        copy.all(top, mount.as_bytes()).map_err(failed)?;
        fs.close().map_err(failed)
    }

    /// Makes a FAT file system of the files and folders at a mount point.
    fn fat(&mut self, placed: &PlacedVolume) -> Result<(), AssembleError> {
        let mount = &placed.volume.mount;
        let failed = |source| AssembleError::Tree { path: mount.as_bytes().to_vec(), source };
        let mut image = placed.fat(self.layout);
        if let Some(top) = self.stage.lookup(mount.as_bytes()).map_err(failed)? {
            self.fill_fat(&mut image, top, mount)?;
        }
        let at = |source| AssembleError::Image { path: self.layout.output.clone(), source };
        let window = Window::new(self.output.disk(), placed.place.start, placed.place.len);
        image.write(&mut window.map_err(at)?).map_err(|source| match source {
            FatError::Full { .. } => full(mount, placed.place),
            source => AssembleError::Fat { mount: mount.clone(), source },
        })
    }

    fn fill_fat(
        &mut self,
        image: &mut FatImage,
        top: Node,
        mount: &str,
    ) -> Result<(), AssembleError> {
        let failed = |source| AssembleError::Tree { path: mount.as_bytes().to_vec(), source };
        let (mut left, mut seen) = (MOST_FAT, 0);
        let mut todo = vec![(top, String::new())];
        while let Some((folder, path)) = todo.pop() {
            for entry in self.stage.list(folder).map_err(failed)? {
                let own = format!("{path}{}", String::from_utf8_lossy(&entry.name));
                let stat = self.stage.stat(entry.node).map_err(failed)?;
                seen += 1;
                if seen > MOST_FAT_FILES {
                    return Err(failed(ExtError::NoBlocks));
                }
                match stat.kind {
                    Kind::Directory => todo.push((entry.node, own + "/")),
                    Kind::File => {
                        let enough = left.checked_sub(stat.size);
                        left = enough.ok_or_else(|| failed(ExtError::NoBlocks))?;
                        let bytes = self.stage.read_file(entry.node, stat.size).map_err(failed)?;
                        let fat = |source| AssembleError::Fat { mount: mount.to_owned(), source };
                        image.add(&own, bytes).map_err(fat)?;
                    }
                    kind => {
                        let path = format!("{mount}/{own}").into_bytes();
                        return Err(AssembleError::NotForFat { path, kind: kind.name() });
                    }
                }
            }
        }
        Ok(())
    }
}

pub(super) fn full(mount: &str, place: Extent) -> AssembleError {
    let mount = if mount.is_empty() { "/" } else { mount };
    AssembleError::VolumeFull { mount: mount.to_owned(), size: Bytes(place.len) }
}

/// A copy from one file system to an empty one.
struct Copy<'a> {
    from: &'a mut ExtFs,
    to: &'a mut ExtFs,
    mounts: &'a BTreeSet<Vec<u8>>,
    /// What has more than one name, and is there already.
    links: BTreeMap<u32, Node>,
}

impl Copy<'_> {
    /// Copies what is below `top`, which is at `path`, but for what other partitions have.
    fn all(&mut self, top: Node, path: &[u8]) -> Result<(), ExtError> {
        let attrs = self.from.stat(top)?.attrs;
        self.to.set_attrs(Node::ROOT, &attrs)?;
        self.dress(top, Node::ROOT)?;
        let mut todo = vec![(top, Node::ROOT, path.to_vec())];
        while let Some((from, to, path)) = todo.pop() {
            for entry in self.from.list(from)? {
                if path.is_empty() && entry.name == b"lost+found" {
                    // The new file system has its own.
                    continue;
                }
                let stat = self.from.stat(entry.node)?;
                if stat.kind == Kind::Directory {
                    let own = [&path[..], b"/", &entry.name].concat();
                    let node = self.to.create(to, &entry.name, New::Directory, &stat.attrs)?;
                    self.dress(entry.node, node)?;
                    if !self.mounts.contains(&own) {
                        todo.push((entry.node, node, own));
                    }
                    continue;
                }
                if let Some(&known) = self.links.get(&entry.node.number()) {
                    self.to.link(to, &entry.name, known)?;
                    continue;
                }
                let node = self.one((entry.node, &stat), (to, &entry.name))?;
                if stat.links > 1 {
                    self.links.insert(entry.node.number(), node);
                }
            }
        }
        Ok(())
    }

    /// Gives what was made the extended attributes of what it is a copy of.
    fn dress(&mut self, from: Node, to: Node) -> Result<(), ExtError> {
        let xattrs = self.from.xattrs(from)?;
        self.to.set_xattrs(to, &xattrs)
    }

    /// Copies what is no folder.
    fn one(
        &mut self,
        (from, stat): (Node, &Stat),
        (to, name): (Node, &[u8]),
    ) -> Result<Node, ExtError> {
        let (major, minor) = stat.device;
        let target;
        let new = match stat.kind {
            Kind::File => None,
            Kind::Symlink => {
                target = self.from.read_link(from)?;
                Some(New::Symlink(&target))
            }
            Kind::Char => Some(New::Char(major, minor)),
            Kind::Block => Some(New::Block(major, minor)),
            Kind::Fifo => Some(New::Fifo),
            Kind::Socket => Some(New::Socket),
            Kind::Directory => Some(New::Directory),
        };
        let node = match new {
            Some(new) => self.to.create(to, name, new, &stat.attrs)?,
            None => {
                let mut data = Data { fs: self.from, node: from, at: 0 };
                let contents = Contents { size: stat.size, data: &mut data };
                self.to.create_file(to, name, &stat.attrs, contents)?
            }
        };
        self.dress(from, node)?;
        Ok(node)
    }
}

/// The contents of a file, as a stream.
struct Data<'a> {
    fs: &'a ExtFs,
    node: Node,
    at: u64,
}

impl Read for Data<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fs.read_at(self.node, self.at, buf).map_err(io::Error::other)?;
        self.at += crate::device::len64(&buf[..n]);
        Ok(n)
    }
}
