// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ISO 9660 as it is read: Rock Ridge if it is there, or else Joliet, or else the plain names in
//! lower case, as Linux mounts it.
//!
//! **Invariant:** the file system is hostile: no directory is read in two places, what is held in
//! memory is bounded, and no name leads out of its directory.

mod descriptor;
mod error;
mod record;
mod rock_ridge;

use std::collections::BTreeMap;

pub use self::descriptor::{BootImage, BootPlatform};
use self::descriptor::{Volume, Volumes};
pub use self::error::IsoFsError;
use self::record::{Extent, Head, Record};
use self::rock_ridge::{Reader, RockRidge};
use crate::device::{Device, len64};
use crate::fs::ext::{Attrs, Kind, Time, names};

/// Bytes of a sector, as an offset.
const SECTOR64: u64 = 2048;
/// The longest directory.
const MOST_DIR: u32 = 32 << 20;
/// Names held in memory for one file system, and parts of files.
const MOST_NAMES: usize = 1 << 20;

/// One file or directory of an open file system. Numbers are given in the order that directories
/// are read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u32);

impl Node {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    /// Returns a number that no other node of the open file system has.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What sort of thing.
    pub kind: Kind,
    /// Owner, permissions, time. Without Rock Ridge: root's, 0o555 for a directory, 0o444 for a
    /// file.
    pub attrs: Attrs,
    /// Bytes of contents, or of a link's target; 0 for a directory.
    pub size: u64,
    /// How many names it has, as it says itself.
    pub links: u32,
    /// Major and minor number of a device; zeros for anything else.
    pub device: (u32, u32),
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name: never empty, `.`, `..`, or with `/` or a zero byte in it.
    pub name: Vec<u8>,
    /// What it names.
    pub node: Node,
    /// What sort of thing.
    pub kind: Kind,
}

/// Where the names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsoNames {
    /// Rock Ridge: of any bytes, with owners and permissions.
    RockRidge,
    /// Joliet: UCS-2.
    Joliet,
    /// Neither: few letters, shown in lower case.
    Plain,
}

#[derive(Clone, Debug)]
struct Item {
    name: Vec<u8>,
    stat: Stat,
    parts: Vec<Extent>,
    target: Vec<u8>,
    /// Why its contents cannot be read.
    unreadable: Option<&'static str>,
    /// Its names, if it is a directory that was read.
    dir: Option<BTreeMap<Vec<u8>, Node>>,
}

/// An open ISO 9660 file system, for reading.
#[derive(Debug)]
pub struct IsoFs {
    device: Box<dyn Device>,
    volumes: Volumes,
    /// The tree that is shown.
    volume: Volume,
    names: IsoNames,
    reader: Reader,
    items: Vec<Item>,
    /// First blocks of all directories that were read.
    places: BTreeMap<u32, Node>,
    /// Parts of files beyond the first, of all items.
    parts: usize,
}

impl IsoFs {
    /// Opens the file system at the beginning of `device`.
    ///
    /// # Errors
    ///
    /// [`IsoFsError::NotIso`], [`IsoFsError::Damaged`], [`IsoFsError::Io`].
    pub fn open(mut device: Box<dyn Device>) -> Result<Self, IsoFsError> {
        let volumes = Volumes::read(&mut *device)?;
        let mut reader = Reader::new(volumes.primary.block);
        let root = read_extent(&mut *device, &volumes.primary, volumes.primary.root)?;
        let first = record::records(&root)?.first().map(|record| record.system_use.to_vec());
        let has_rock_ridge = reader.begin(&mut *device, &first.unwrap_or_default())?;
        let (names, volume) = match &volumes.joliet {
            _ if has_rock_ridge => (IsoNames::RockRidge, volumes.primary.clone()),
            Some(joliet) => (IsoNames::Joliet, joliet.clone()),
            None => (IsoNames::Plain, volumes.primary.clone()),
        };
        let mut fs = Self {
            device,
            names,
            reader,
            items: Vec::new(),
            places: BTreeMap::new(),
            parts: 0,
            volumes,
            volume,
        };
        let mut beside = RockRidge::default();
        if names == IsoNames::RockRidge {
            let bytes = read_extent(&mut *fs.device, &fs.volume, fs.volume.root)?;
            if let Some(own) = record::records(&bytes)?.first() {
                beside = fs.rock_ridge(own)?;
            }
        }
        let (head, extent) = (fs.volume.head, fs.volume.root);
        let mut root = fs.item(Vec::new(), &head, beside);
        root.stat.kind = Kind::Directory;
        root.parts = vec![extent];
        fs.items.push(root);
        fs.places.insert(extent.block, Node::ROOT);
        Ok(fs)
    }

    /// Returns where the names come from.
    #[must_use]
    pub fn names(&self) -> IsoNames {
        self.names
    }

    /// Returns the volume's label, without spaces at its end.
    #[must_use]
    pub fn label(&self) -> String {
        let text = String::from_utf8_lossy(&self.volumes.primary.label);
        text.trim_end_matches([' ', '\0']).to_owned()
    }

    /// Returns the bytes that the volume has, as it says itself.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.volumes.primary.size
    }

    /// Returns what a firmware can boot from it: the entries of El Torito's catalogue, the default
    /// one first.
    ///
    /// # Errors
    ///
    /// [`IsoFsError::Damaged`] if the catalogue cannot be right; [`IsoFsError::Io`].
    pub fn boot_images(&mut self) -> Result<Vec<BootImage>, IsoFsError> {
        self.volumes.boot_images(&mut *self.device)
    }

    /// Returns the node of the name in the directory, if there is one. Without Rock Ridge case
    /// does not matter.
    ///
    /// # Errors
    ///
    /// [`IsoFsError::NotADirectory`]; [`IsoFsError::Damaged`] if the directory cannot be right.
    pub fn child(&mut self, dir: Node, name: &[u8]) -> Result<Option<Node>, IsoFsError> {
        let exact = self.names == IsoNames::RockRidge;
        let dir = self.dir(dir)?;
        if let Some(node) = dir.get(name) {
            return Ok(Some(*node));
        }
        let same = |(other, _): &(&Vec<u8>, &Node)| other.eq_ignore_ascii_case(name);
        Ok(dir.iter().filter(|_| !exact).find(same).map(|(_, node)| *node))
    }

    /// Returns the node at `path`, without following any symbolic link.
    ///
    /// # Errors
    ///
    /// As [`IsoFs::child`].
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Node>, IsoFsError> {
        let mut at = Node::ROOT;
        for name in names(path) {
            if self.stat(at).kind != Kind::Directory {
                return Err(IsoFsError::NotADirectory { path: path.to_vec() });
            }
            let Some(next) = self.child(at, name)? else { return Ok(None) };
            at = next;
        }
        Ok(Some(at))
    }

    /// Returns the names in a directory, sorted by their bytes.
    ///
    /// # Errors
    ///
    /// As [`IsoFs::child`].
    pub fn list(&mut self, dir: Node) -> Result<Vec<Listed>, IsoFsError> {
        let all: Vec<(Vec<u8>, Node)> =
            self.dir(dir)?.iter().map(|(name, node)| (name.clone(), *node)).collect();
        let listed = |(name, node)| Listed { name, node, kind: self.stat(node).kind };
        Ok(all.into_iter().map(listed).collect())
    }

    /// Returns what a node is.
    ///
    /// # Panics
    ///
    /// If the node is that of another file system.
    #[must_use]
    pub fn stat(&self, node: Node) -> Stat {
        self.items[index(node)].stat
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// [`IsoFsError::WrongKind`] if the node is something else.
    pub fn read_link(&self, node: Node) -> Result<Vec<u8>, IsoFsError> {
        let item = &self.items[index(node)];
        if item.stat.kind != Kind::Symlink {
            let name = item.name.clone();
            return Err(IsoFsError::WrongKind { name, wanted: "symbolic link" });
        }
        Ok(item.target.clone())
    }

    /// Reads from a file from byte `at` on. Returns how many bytes: fewer than asked for only at
    /// its end.
    ///
    /// # Errors
    ///
    /// [`IsoFsError::WrongKind`] if the node is no file; [`IsoFsError::Unsupported`] if it is
    /// packed or interleaved; [`IsoFsError::Damaged`] if it lies past the device's end.
    pub fn read_at(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, IsoFsError> {
        let item = &self.items[index(node)];
        if item.stat.kind != Kind::File {
            return Err(IsoFsError::WrongKind { name: item.name.clone(), wanted: "file" });
        }
        if let Some(how) = item.unreadable {
            return Err(IsoFsError::Unsupported { name: item.name.clone(), how });
        }
        let left = item.stat.size.saturating_sub(at);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let (mut start, mut done) = (0, 0);
        for part in &item.parts {
            let end = start + u64::from(part.len);
            let from = at + len64(&buf[..done]);
            if done < len && from >= start && from < end {
                let room = usize::try_from(end - from).unwrap_or(usize::MAX);
                let count = room.min(len - done);
                let place = u64::from(part.block) * self.volume.block + (from - start);
                let past = place.checked_add(len64(&buf[done..done + count]));
                if past.is_none_or(|past| past > self.device.size()) {
                    let name = crate::fs::ext::shown(&item.name);
                    return Err(damaged(&format!("`{name}` lies past the end")));
                }
                let read = self.device.read_at(place, &mut buf[done..done + count]);
                read.map_err(|source| IsoFsError::Io { doing: "read a file", source })?;
                done += count;
            }
            start = end;
        }
        Ok(done)
    }

    /// Returns the contents of a file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// As [`IsoFs::read_at`]; [`IsoFsError::TooLong`].
    pub fn read_file(&mut self, node: Node, most: u64) -> Result<Vec<u8>, IsoFsError> {
        let size = self.stat(node).size;
        let len = usize::try_from(size).ok().filter(|_| size <= most);
        let len = len.ok_or(IsoFsError::TooLong { size, most })?;
        let mut bytes = Vec::new();
        // Memory is taken as the contents are found to be there: the length may be a lie.
        while bytes.len() < len {
            let start = bytes.len();
            bytes.resize(start + (len - start).min(1 << 20), 0);
            self.read_at(node, len64(&bytes[..start]), &mut bytes[start..])?;
        }
        Ok(bytes)
    }

    fn dir(&mut self, node: Node) -> Result<&BTreeMap<Vec<u8>, Node>, IsoFsError> {
        let item = &self.items[index(node)];
        if item.stat.kind != Kind::Directory {
            return Err(IsoFsError::NotADirectory { path: item.name.clone() });
        }
        if item.dir.is_none() {
            let dir = self.read_dir(node)?;
            self.items[index(node)].dir = Some(dir);
        }
        Ok(self.items[index(node)].dir.as_ref().expect("read above"))
    }

    fn read_dir(&mut self, node: Node) -> Result<BTreeMap<Vec<u8>, Node>, IsoFsError> {
        let extent = self.items[index(node)].parts.first().copied().unwrap_or_default();
        let other = self.places.insert(extent.block, node).filter(|other| *other != node);
        if let Some(other) = other {
            self.places.insert(extent.block, other);
            let name = crate::fs::ext::shown(&self.items[index(node)].name);
            return Err(damaged(&format!("directory `{name}` stands in two places")));
        }
        let bytes = read_extent(&mut *self.device, &self.volume, extent)?;
        let mut dir = BTreeMap::new();
        // The item whose contents the next record goes on with.
        let mut open: Option<usize> = None;
        for record in record::records(&bytes)? {
            if matches!(record.identifier, [] | [0] | [1]) || record.head.is_associated() {
                continue;
            }
            let more = record.head.has_more();
            if let Some(before) = open.take() {
                self.extend(before, &record.head)?;
                open = more.then_some(before);
                continue;
            }
            let beside = self.rock_ridge(&record)?;
            if beside.relocated {
                continue;
            }
            let name = self.name(&record, &beside);
            let bad = name.is_empty() || name.contains(&b'/') || name.contains(&0);
            if bad || name == b"." || name == b".." || name.len() > 255 * 3 {
                continue;
            }
            let new = self.number()?;
            let item = self.placed(name.clone(), &record, beside)?;
            self.items.push(item);
            open = more.then_some(index(new));
            dir.entry(name).or_insert(new);
        }
        Ok(dir)
    }

    fn number(&self) -> Result<Node, IsoFsError> {
        let count = self.items.len() + self.parts;
        let small = u32::try_from(self.items.len()).ok().filter(|_| count < MOST_NAMES);
        small.map(Node).ok_or_else(|| damaged(&format!("it has more than {MOST_NAMES} names")))
    }

    /// Adds a part to an item's contents.
    fn extend(&mut self, item: usize, head: &Head) -> Result<(), IsoFsError> {
        self.number()?;
        self.parts += 1;
        let item = &mut self.items[item];
        item.parts.push(head.extent);
        if item.stat.kind == Kind::File {
            item.stat.size += u64::from(head.extent.len);
        }
        if head.interleaved {
            item.unreadable = Some("its parts lie between those of other files");
        }
        Ok(())
    }

    fn rock_ridge(&mut self, record: &Record<'_>) -> Result<RockRidge, IsoFsError> {
        if self.names != IsoNames::RockRidge {
            return Ok(RockRidge::default());
        }
        let own = record.system_use.get(self.reader.skip..).unwrap_or_default();
        self.reader.read(&mut *self.device, own)
    }

    fn name(&self, record: &Record<'_>, beside: &RockRidge) -> Vec<u8> {
        match self.names {
            IsoNames::RockRidge if !beside.name.is_empty() => beside.name.clone(),
            IsoNames::Joliet => joliet(record.identifier),
            _ => plain(record.identifier),
        }
    }

    /// Returns the item of a record, a directory that lies elsewhere found.
    fn placed(
        &mut self,
        name: Vec<u8>,
        record: &Record<'_>,
        beside: RockRidge,
    ) -> Result<Item, IsoFsError> {
        let child = beside.child;
        let mut item = self.item(name, &record.head, beside);
        if let Some(block) = child {
            // The directory's first record is its own and has its length.
            let len = u32::try_from(SECTOR64).expect("a constant");
            let bytes = read_extent(&mut *self.device, &self.volume, Extent { block, len })?;
            let records = record::records(&bytes)?;
            let own = records.first().filter(|own| own.identifier == [0]);
            let own = own.ok_or_else(|| damaged("a directory that was moved is not there"))?;
            let extent = Extent { block, len: own.head.extent.len };
            item.stat.kind = Kind::Directory;
            item.stat.size = 0;
            item.parts = vec![extent];
            let attrs = self.rock_ridge(own)?;
            item.stat.attrs = self.item(Vec::new(), &own.head, attrs).stat.attrs;
        }
        Ok(item)
    }

    /// Returns the item of a record, with what Rock Ridge has beside it.
    fn item(&self, name: Vec<u8>, head: &Head, beside: RockRidge) -> Item {
        let directory = head.is_directory();
        let named = beside.posix.and_then(|[mode, ..]| Kind::from_mode(mode));
        let kind = match named {
            _ if directory => Kind::Directory,
            Some(Kind::Directory) | None => Kind::File,
            Some(kind) => kind,
        };
        let size = match kind {
            Kind::File => u64::from(head.extent.len),
            Kind::Symlink => len64(&beside.target.bytes),
            _ => 0,
        };
        let plain = [if directory { 0o555 } else { 0o444 }, 1, 0, 0];
        let [mode, links, uid, gid] = beside.posix.unwrap_or(plain);
        let mtime = Time { seconds: beside.time.unwrap_or(head.time), nanos: 0 };
        let attrs = Attrs { mode: mode & 0o7777, uid, gid, mtime };
        let device = beside.device.filter(|_| matches!(kind, Kind::Char | Kind::Block));
        let unreadable = if beside.packed {
            Some("it is packed by zisofs")
        } else {
            head.interleaved.then_some("its parts lie between those of other files")
        };
        Item {
            name,
            stat: Stat { kind, attrs, size, links, device: device.unwrap_or_default() },
            parts: vec![head.extent],
            target: beside.target.bytes,
            unreadable,
            dir: None,
        }
    }
}

fn index(node: Node) -> usize {
    usize::try_from(node.0).expect("32 bits fit")
}

fn damaged(what: &str) -> IsoFsError {
    IsoFsError::Damaged { what: what.to_owned() }
}

/// Returns the bytes of a directory.
fn read_extent(
    device: &mut dyn Device,
    volume: &Volume,
    extent: Extent,
) -> Result<Vec<u8>, IsoFsError> {
    let at = u64::from(extent.block) * volume.block;
    if extent.len > MOST_DIR || at + u64::from(extent.len) > device.size() {
        let what = format!("a directory of {} bytes lies in block {}", extent.len, extent.block);
        return Err(damaged(&what));
    }
    let mut bytes = vec![0; usize::try_from(extent.len).expect("bounded above")];
    let io = |source| IsoFsError::Io { doing: "read a directory", source };
    device.read_at(at, &mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Returns a plain identifier as Linux shows it: lower case, without version and empty extension.
fn plain(identifier: &[u8]) -> Vec<u8> {
    let end = identifier.iter().position(|&b| b == b';').unwrap_or(identifier.len());
    let name = identifier[..end].strip_suffix(b".").unwrap_or(&identifier[..end]);
    name.to_ascii_lowercase()
}

/// Returns a Joliet identifier as UTF-8, without a version.
fn joliet(identifier: &[u8]) -> Vec<u8> {
    let units = identifier.as_chunks::<2>().0.iter().map(|&b| u16::from_be_bytes(b));
    let name: String =
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    name.strip_suffix(";1").unwrap_or(&name).as_bytes().to_vec()
}
