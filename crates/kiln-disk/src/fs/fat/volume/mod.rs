// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT12, FAT16 and FAT32, read and changed in place on any [`Device`].
//!
//! Contents of files go to the device at once, to clusters that were free; directories, the table
//! and the count of free clusters are held in memory and written by [`FatFs::close`].
//!
//! **Invariant:** the file system is hostile: no chain of clusters is followed in a circle, no
//! directory stands in two places, and no name leads out of its directory.

mod boot;
mod change;
mod dir;
mod file;
mod table;

use std::collections::BTreeMap;

use kiln_spec::Bytes;

use self::boot::Boot;
pub use self::boot::FatKind;
use self::dir::{Dir, Item, Parsed, READ_ONLY, Slot};
use self::table::{Run, Table};
use super::{FatError, serial_text, time};
use crate::device::Device;
use crate::fs::ext::{Access, Attrs, Kind, Time, names};

/// Names held in memory for one file system.
const MOST_NAMES: usize = 1 << 20;

/// One file or directory of an open file system. Numbers are given in the order that directories
/// are read in, and not twice.
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

    fn index(self) -> usize {
        usize::try_from(self.0).expect("32 bits fit")
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// [`Kind::File`] or [`Kind::Directory`].
    pub kind: Kind,
    /// Owner 0, permissions 0o755 (0o555 for a file that is marked as read-only), time of change
    /// taken as UTC.
    pub attrs: Attrs,
    /// Bytes of contents; 0 for a directory.
    pub size: u64,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The long name, or else the short one. Never empty, `.`, `..`, or with `/` in it.
    pub name: String,
    /// What it names.
    pub node: Node,
    /// What sort of thing.
    pub kind: Kind,
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of a cluster.
    pub cluster: Bytes,
    /// Bytes of all clusters.
    pub size: Bytes,
    /// Bytes of the free ones.
    pub free: Bytes,
}

/// What the file system says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatInfo {
    /// Which of the three it is.
    pub kind: FatKind,
    /// Its label: that of the root directory, or else of the boot sector.
    pub label: Option<String>,
    /// Its number.
    pub serial: u32,
    /// Whether it is marked as in use: it was not unmounted. As `mount` does, it is still read
    /// and written, and the mark stays for `fsck.vfat`.
    pub dirty: bool,
}

impl FatInfo {
    /// Returns the number as programs show it and as `/etc/fstab` takes it: `1A2B-3C4D`.
    #[must_use]
    pub fn uuid(&self) -> String {
        serial_text(self.serial)
    }
}

/// An open FAT file system.
#[derive(Debug)]
pub struct FatFs {
    device: Box<dyn Device>,
    boot: Boot,
    table: Table,
    access: Access,
    dirty: bool,
    /// By number; `None` for what was removed.
    items: Vec<Option<Item>>,
    /// First clusters of all directories that were seen.
    places: BTreeMap<u32, Node>,
    /// Clusters of the file that was read last.
    last: Option<(Node, Vec<Run>)>,
}

impl FatFs {
    /// Opens the file system that fills `device`, or its beginning.
    ///
    /// # Effects
    ///
    /// With [`Access::Write`] the device is changed by each write, and made whole by
    /// [`FatFs::close`]. If the value is dropped without `close`, what was done since it was
    /// opened is lost or half there.
    ///
    /// # Errors
    ///
    /// [`FatError::NotFat`]; [`FatError::Damaged`] if the device is too small for it;
    /// [`FatError::Io`].
    pub fn open(mut device: Box<dyn Device>, access: Access) -> Result<Self, FatError> {
        let boot = Boot::read(&mut *device)?;
        let mut table = Table::new(&boot);
        if let Some(at) = boot.information {
            let io = |source| FatError::Io { doing: "read the count of free clusters", source };
            if let Some((free, next)) = table::read_information(&mut *device, at).map_err(io)? {
                table.free = Some(free).filter(|&free| free <= boot.clusters);
                table.next = next;
            }
        }
        let dirty = boot.in_use || !table.clean(&mut *device)?;
        if access != Access::Read {
            table.count(&mut *device)?;
        }
        let mut root = dir::entry(b"/          ", dir::DIRECTORY, [0, 0, 33, 0]);
        dir::set_first(&mut root, boot.root_cluster);
        let parent = Node::ROOT;
        let root = Item { parent, name: String::new(), raw: root, long: Vec::new(), dir: None };
        let places = BTreeMap::from([(boot.root_cluster, Node::ROOT)]);
        let items = vec![Some(root)];
        Ok(Self { device, boot, table, access, dirty, items, places, last: None })
    }

    /// Returns what the file system says of itself.
    ///
    /// # Errors
    ///
    /// As [`FatFs::list`] of the root directory.
    pub fn info(&mut self) -> Result<FatInfo, FatError> {
        let mut label = self.boot.label;
        for slot in &self.dir(Node::ROOT)?.slots {
            if let Slot::Other(raws) = slot
                && let [raw] = raws.as_slice()
                && raw[11] & 0x3f == 0x08
            {
                label.copy_from_slice(&raw[..11]);
                break;
            }
        }
        let text: String = label.iter().map(|&b| super::name::code_page(b)).collect();
        let text = text.trim_end_matches([' ', '\0']);
        let label = (!text.is_empty() && text != "NO NAME").then(|| text.to_owned());
        Ok(FatInfo { kind: self.boot.kind, label, serial: self.boot.serial, dirty: self.dirty })
    }

    /// Returns how full it is.
    ///
    /// # Errors
    ///
    /// [`FatError::Io`].
    pub fn usage(&mut self) -> Result<Usage, FatError> {
        if self.access == Access::Read {
            self.table.count(&mut *self.device)?;
        }
        let cluster = self.boot.cluster;
        let free = u64::from(self.table.free.unwrap_or_default());
        let size = u64::from(self.boot.clusters);
        Ok(Usage {
            cluster: Bytes(cluster),
            size: Bytes(size * cluster),
            free: Bytes(free * cluster),
        })
    }

    /// Returns the node of the name in the directory, if there is one: by its long or its short
    /// name, in any case.
    ///
    /// # Errors
    ///
    /// [`FatError::NotADirectory`]; [`FatError::Damaged`] if the directory cannot be right.
    pub fn child(&mut self, dir: Node, name: &[u8]) -> Result<Option<Node>, FatError> {
        let dir = self.dir(dir)?;
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        Ok(dir.names.get(&dir::folded(name)).copied())
    }

    /// Returns the node at `path`, which may begin with `/`.
    ///
    /// # Errors
    ///
    /// As [`FatFs::child`].
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Node>, FatError> {
        let mut at = Node::ROOT;
        for name in names(path) {
            if !self.item(at)?.is_directory() {
                return Err(FatError::NotADirectory { path: path.to_vec() });
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
    /// As [`FatFs::child`].
    pub fn list(&mut self, dir: Node) -> Result<Vec<Listed>, FatError> {
        let dir = self.dir(dir)?;
        let nodes: Vec<Node> = dir
            .slots
            .iter()
            .filter_map(|slot| if let Slot::Item(node) = slot { Some(*node) } else { None })
            .collect();
        let mut list = Vec::with_capacity(nodes.len());
        for node in nodes {
            let item = self.item(node)?;
            let kind = if item.is_directory() { Kind::Directory } else { Kind::File };
            list.push(Listed { name: item.name.clone(), node, kind });
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        // A damaged directory may have a name twice; a path leads to the first.
        list.dedup_by(|later, first| later.name == first.name);
        Ok(list)
    }

    /// Returns what a node is.
    ///
    /// # Errors
    ///
    /// [`FatError::NotFound`] if it was removed.
    pub fn stat(&self, node: Node) -> Result<Stat, FatError> {
        let item = self.item(node)?;
        let directory = item.is_directory();
        let mode = if !directory && item.raw[11] & READ_ONLY != 0 { 0o555 } else { 0o755 };
        let changed = [item.raw[22], item.raw[23], item.raw[24], item.raw[25]];
        let mtime = Time { seconds: time::seconds(changed), nanos: 0 };
        let kind = if directory { Kind::Directory } else { Kind::File };
        let size = if directory { 0 } else { u64::from(item.size()) };
        Ok(Stat { kind, attrs: Attrs { mode, uid: 0, gid: 0, mtime }, size })
    }

    fn item(&self, node: Node) -> Result<&Item, FatError> {
        let item = self.items.get(node.index()).and_then(Option::as_ref);
        item.ok_or_else(|| FatError::NotFound { path: node.0.to_string().into_bytes() })
    }

    fn item_mut(&mut self, node: Node) -> Result<&mut Item, FatError> {
        let item = self.items.get_mut(node.index()).and_then(Option::as_mut);
        item.ok_or_else(|| FatError::NotFound { path: node.0.to_string().into_bytes() })
    }

    /// Returns a directory, read if it was not yet.
    fn dir(&mut self, node: Node) -> Result<&mut Dir, FatError> {
        let item = self.item(node)?;
        if !item.is_directory() {
            return Err(FatError::NotADirectory { path: item.name.clone().into_bytes() });
        }
        if item.dir.is_none() {
            let dir = self.read_dir(node)?;
            self.item_mut(node)?.dir = Some(dir);
        }
        let dir = self.item_mut(node)?.dir.as_mut();
        Ok(dir.expect("read above"))
    }

    fn read_dir(&mut self, node: Node) -> Result<Dir, FatError> {
        let first = self.item(node)?.first();
        let (runs, bytes) = self.dir_bytes(node, first)?;
        let mut dir = Dir { runs, room: bytes.len() / super::ENTRY, ..Dir::default() };
        // Nothing is entered before the whole of it was found right.
        let mut places = BTreeMap::new();
        let mut items = Vec::new();
        for parsed in dir::parse(&bytes, node) {
            match parsed {
                Parsed::Dot(raw) => dir.dots.push(raw),
                Parsed::Other(raws) => {
                    dir.used += raws.len();
                    dir.slots.push(Slot::Other(raws));
                }
                Parsed::Item(item) => {
                    let new = self.number(items.len())?;
                    if item.is_directory() {
                        self.check_place(&item, &places)?;
                        places.insert(item.first(), new);
                    }
                    dir.enter(new, &item);
                    items.push(Some(*item));
                }
            }
        }
        if node != Node::ROOT {
            dir.used += 2;
        }
        self.items.append(&mut items);
        self.places.append(&mut places);
        Ok(dir)
    }

    /// Returns the node that comes after `more` new ones.
    fn number(&self, more: usize) -> Result<Node, FatError> {
        let number = self.items.len() + more;
        let small = u32::try_from(number).ok().filter(|_| number < MOST_NAMES);
        let many = || FatError::Damaged { what: format!("it has more than {MOST_NAMES} names") };
        small.map(Node).ok_or_else(many)
    }

    /// Returns an error if a directory's first cluster is none, or another's.
    fn check_place(&self, item: &Item, new: &BTreeMap<u32, Node>) -> Result<(), FatError> {
        let first = item.first();
        let wrong = if !self.table.exists(first) {
            format!("directory `{}` begins in cluster {first}", shown(item))
        } else if self.places.contains_key(&first) || new.contains_key(&first) {
            format!("directory `{}` shares cluster {first} with another", shown(item))
        } else {
            return Ok(());
        };
        Err(FatError::Damaged { what: wrong })
    }

    /// Returns where a directory lies, and its bytes.
    fn dir_bytes(&mut self, node: Node, first: u32) -> Result<(Vec<Run>, Vec<u8>), FatError> {
        let io = |source| FatError::Io { doing: "read a directory", source };
        let (at, len) = self.boot.root;
        if node == Node::ROOT && len > 0 {
            let mut bytes = vec![0; usize::try_from(len).expect("at most 2 MiB")];
            self.device.read_at(at, &mut bytes).map_err(io)?;
            return Ok((Vec::new(), bytes));
        }
        let most = dir::MOST_BYTES.div_ceil(self.boot.cluster);
        let runs = self.table.chain(&mut *self.device, first, most)?;
        let mut bytes = Vec::new();
        for run in &runs {
            let start = bytes.len();
            let len = usize::try_from(u64::from(run.count) * self.boot.cluster);
            bytes.resize(start + len.expect("at most 2 MiB and a cluster"), 0);
            let at = self.place(run.first)?;
            self.device.read_at(at, &mut bytes[start..]).map_err(io)?;
        }
        Ok((runs, bytes))
    }

    fn place(&self, cluster: u32) -> Result<u64, FatError> {
        let none = || FatError::Damaged { what: format!("there is no cluster {cluster}") };
        self.boot.place(cluster).ok_or_else(none)
    }
}

/// Returns a name for an error.
fn shown(item: &Item) -> String {
    crate::fs::ext::shown(item.name.as_bytes())
}
