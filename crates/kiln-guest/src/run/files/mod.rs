// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's tree as a FUSE file system that is only read: bytes of a request in, bytes of an
//! answer out.
//!
//! A file's contents are taken from the tree when it is first opened, into a file of the host
//! without a name; so a program costs what it reads, not what the guest has. Its holes are told
//! where the tree knows them: lseek(2), and the number of its blocks.

mod contents;
mod message;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;

use message::{Answer, Request};

use self::contents::Contents;
use crate::tree::{Entry, GuestPath, Kind, Stat, Time, Tree, TreeError, Xattrs};

/// The number of the root: `FUSE_ROOT_ID`.
const ROOT: u64 = 1;
/// The largest file that a program may open: larger ones are sparse, and would be read whole.
const MOST: u64 = 64 << 30;

/// Files of this size and larger ones may have holes that are worth to be told.
const LEAST: u64 = 64 << 10;

/// What a program is shown where the guest has nothing, or something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// An empty directory.
    Directory,
    /// A file of root's: contents, permissions.
    File(Vec<u8>, u32),
}

/// What the kernel is told of a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    /// How many of them are no holes.
    data: u64,
    links: u32,
    device: u32,
    mtime: Time,
}

#[derive(Debug)]
struct Node {
    path: GuestPath,
    attributes: Attributes,
    /// Names in the directory, while it is read.
    names: Vec<Entry>,
}

/// Answers for a tree's files.
pub(super) struct Files<'a> {
    tree: &'a mut dyn Tree,
    shown: &'a BTreeMap<GuestPath, Shown>,
    nodes: Vec<Node>,
    places: HashMap<GuestPath, u64>,
    linked: HashMap<(u32, u64), u64>,
    contents: Contents,
    trouble: Option<TreeError>,
}

impl std::fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl<'a> Files<'a> {
    /// Returns the answers for `tree`, with `shown` in it; `store` keeps contents.
    ///
    /// # Errors
    ///
    /// As [`Tree::lstat`] of the root.
    pub(super) fn new(
        tree: &'a mut dyn Tree,
        shown: &'a BTreeMap<GuestPath, Shown>,
        store: File,
    ) -> Result<Self, TreeError> {
        let path = GuestPath::root();
        let stat = tree.lstat(&path)?.ok_or(TreeError::NotFound { path: path.clone() })?;
        let root = Node { attributes: attributes(&stat), path: path.clone(), names: vec![] };
        Ok(Self {
            tree,
            shown,
            nodes: vec![root],
            places: HashMap::from([(path, ROOT)]),
            linked: HashMap::new(),
            contents: Contents::new(store),
            trouble: None,
        })
    }

    /// Returns the first failure of what holds the tree, which the program saw as an I/O error.
    pub(super) fn trouble(self) -> Option<TreeError> {
        self.trouble
    }

    /// Answers a request; `None` if it wants no answer.
    pub(super) fn request(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = Request::parse(bytes)?;
        let answer = match request.opcode {
            message::FORGET | message::BATCH_FORGET | message::INTERRUPT => return None,
            message::INIT => message::init(request.body),
            message::LOOKUP => self.look_up(&request),
            message::GETATTR => {
                self.node(request.node).map(|n| message::attr(request.node, &n.attributes))
            }
            message::READLINK => self.read_link(&request),
            message::OPEN => self.open(&request),
            message::READ => self.read(&request),
            message::LSEEK => self.seek(&request),
            message::OPENDIR => self.open_dir(&request),
            message::READDIR => self.read_dir(&request),
            message::GETXATTR | message::LISTXATTR => self.xattr(&request),
            message::STATFS => self.statfs(),
            message::RELEASE | message::RELEASEDIR | message::FLUSH | message::DESTROY => {
                Ok(Vec::new())
            }
            // Of calls that it is told to lack the kernel makes do without.
            _ => Err(message::ENOSYS),
        };
        Some(message::framed(request.unique, answer))
    }

    fn node(&self, number: u64) -> Result<&Node, i32> {
        let index = usize::try_from(number.wrapping_sub(1)).map_err(|_| message::EINVAL)?;
        self.nodes.get(index).ok_or(message::EINVAL)
    }

    /// Returns the number of an error, and keeps it if it is one of what holds the tree.
    fn number(&mut self, error: TreeError) -> i32 {
        match error {
            TreeError::NotFound { .. } => message::ENOENT,
            TreeError::NotADirectory { .. } => message::ENOTDIR,
            TreeError::Loop { .. } => message::ELOOP,
            TreeError::BadPath { .. } => message::EINVAL,
            TreeError::TooLarge { .. } => message::EFBIG,
            TreeError::ReadOnly { .. } => message::EROFS,
            other => {
                self.trouble.get_or_insert(other);
                message::EIO
            }
        }
    }

    fn look_up(&mut self, request: &Request<'_>) -> Answer {
        let name = request.name(0).ok_or(message::EINVAL)?;
        let path = self.node(request.node)?.path.join(name);
        if let Some(number) = self.places.get(&path) {
            return Ok(message::entry(*number, Some(&self.node(*number)?.attributes)));
        }
        let (attributes, identity) = if let Some(shown) = self.shown.get(&path) {
            (shown_attributes(shown).1, None)
        } else {
            match self.tree.lstat(&path) {
                Ok(Some(stat)) => {
                    let many = stat.links > 1 && stat.kind != Kind::Directory;
                    let mut attributes = attributes(&stat);
                    if let Some(ranges) = self.data(&path, &stat) {
                        attributes.data = ranges.iter().map(|range| range.end - range.start).sum();
                    }
                    (attributes, many.then_some(stat.identity))
                }
                Ok(None) => return Ok(message::entry(0, None)),
                Err(error) => return Err(self.number(error)),
            }
        };
        let same = identity.and_then(|identity| self.linked.get(&identity).copied());
        let number = match same {
            Some(number) => number,
            None => {
                let names = Vec::new();
                self.nodes.push(Node { path: path.clone(), attributes, names });
                u64::try_from(self.nodes.len()).map_err(|_| message::EIO)?
            }
        };
        if let Some(identity) = identity {
            self.linked.insert(identity, number);
        }
        self.places.insert(path, number);
        Ok(message::entry(number, Some(&self.node(number)?.attributes)))
    }

    /// Returns the ranges of a file that are no holes, if that is known. One that is damaged is
    /// told when it is opened.
    fn data(&mut self, path: &GuestPath, stat: &Stat) -> Option<Vec<Range<u64>>> {
        let may_have = stat.kind == Kind::File && stat.size >= LEAST;
        may_have.then(|| self.tree.data(path).ok().flatten()).flatten()
    }

    fn read_link(&mut self, request: &Request<'_>) -> Answer {
        let path = self.node(request.node)?.path.clone();
        self.tree.read_link(&path).map_err(|error| self.number(error))
    }

    fn open(&mut self, request: &Request<'_>) -> Answer {
        let node = self.node(request.node)?;
        let (path, Attributes { size, data, .. }) = (node.path.clone(), node.attributes);
        if self.contents.has(request.node) {
            return Ok(message::opened());
        }
        if let Some(Shown::File(bytes, _)) = self.shown.get(&path) {
            let kept = self.contents.keep(request.node, |out| out.write_all(bytes));
            return kept.map(|()| message::opened()).map_err(|_| message::EIO);
        }
        if size > MOST {
            return Err(message::EFBIG);
        }
        let tree = &mut *self.tree;
        let mut failed = None;
        let kept = self.contents.keep(request.node, |out| match tree.copy_out(&path, out) {
            Ok(_) => Ok(()),
            Err(error) => {
                failed = Some(error);
                Err(std::io::ErrorKind::Other.into())
            }
        });
        match (kept, failed) {
            (Ok(()), _) => {
                if data < size
                    && let Ok(Some(ranges)) = self.tree.data(&path)
                {
                    self.contents.tell(request.node, ranges);
                }
                Ok(message::opened())
            }
            (Err(_), Some(error)) => Err(self.number(error)),
            (Err(_), None) => Err(message::EIO),
        }
    }

    fn read(&mut self, request: &Request<'_>) -> Answer {
        let (offset, size) = request.range().ok_or(message::EINVAL)?;
        self.contents.read(request.node, offset, size).map_err(|_| message::EIO)
    }

    fn seek(&self, request: &Request<'_>) -> Answer {
        let (offset, wanted) = request.seek().ok_or(message::EINVAL)?;
        let found = match wanted {
            message::SEEK_DATA => self.contents.next_data(request.node, offset),
            message::SEEK_HOLE => self.contents.next_hole(request.node, offset),
            _ => return Err(message::EINVAL),
        };
        found.map(message::place).ok_or(message::ENXIO)
    }

    fn open_dir(&mut self, request: &Request<'_>) -> Answer {
        let path = self.node(request.node)?.path.clone();
        let mut names = if self.shown.contains_key(&path) {
            Vec::new()
        } else {
            self.tree.list(&path).map_err(|error| self.number(error))?
        };
        for (at, shown) in self.shown {
            let (Some(parent), Some(name)) = (at.parent(), at.name()) else { continue };
            if parent == path {
                names.retain(|entry| entry.name != name);
                names.push(Entry { name: name.to_vec(), kind: shown_attributes(shown).0 });
            }
        }
        let index = usize::try_from(request.node - 1).map_err(|_| message::EINVAL)?;
        self.nodes[index].names = names;
        Ok(message::opened())
    }

    fn read_dir(&mut self, request: &Request<'_>) -> Answer {
        let (offset, size) = request.range().ok_or(message::EINVAL)?;
        let (first, most) = (usize::try_from(offset), usize::try_from(size));
        let (first, most) = (first.unwrap_or(usize::MAX), most.unwrap_or(0));
        let mut out = Vec::new();
        for (entry, next) in self.node(request.node)?.names.iter().zip(1..).skip(first) {
            if !message::dirent(&mut out, most, next, bits(entry.kind) >> 12, &entry.name) {
                break;
            }
        }
        Ok(out)
    }

    fn xattr(&mut self, request: &Request<'_>) -> Answer {
        let wanted = request.wanted().ok_or(message::EINVAL)?;
        let node = self.node(request.node)?;
        let path = node.path.clone();
        let all = if self.shown.contains_key(&path) {
            Xattrs::new()
        } else {
            self.tree.xattrs(&path).map_err(|error| self.number(error))?
        };
        let mut all = all.into_iter().filter(|(name, _)| is_seen(name));
        if request.opcode == message::LISTXATTR {
            let names: Vec<u8> =
                all.flat_map(|(name, _)| name.into_bytes().into_iter().chain([0])).collect();
            return message::xattr(wanted, &names);
        }
        let name = request.name(8).ok_or(message::EINVAL)?;
        let (_, value) = all.find(|(n, _)| n.as_bytes() == name).ok_or(message::ENODATA)?;
        message::xattr(wanted, &value)
    }

    fn statfs(&mut self) -> Answer {
        let usage = self.tree.usage().map_err(|error| self.number(error))?;
        let Some(root) = usage.first() else { return Err(message::ENOSYS) };
        let blocks = |bytes: u64| bytes / 4096;
        let (size, free) = (blocks(root.size.0), blocks(root.free.0));
        Ok(message::statfs(size, free, root.inodes, root.free_inodes))
    }
}

/// Returns whether a program sees an attribute, and may change it. Labels of security modules
/// cannot be set in a user namespace, and stay as they are in the tree; `trusted` ones and the
/// overlay's own are nobody's.
pub(super) fn is_seen(name: &str) -> bool {
    name == "security.capability"
        || name.starts_with("system.posix_acl_")
        || (name.starts_with("user.") && !name.starts_with("user.overlay."))
}

fn attributes(stat: &Stat) -> Attributes {
    let (major, minor) = stat.device;
    Attributes {
        mode: bits(stat.kind) | (stat.attrs.mode & 0o7777),
        uid: stat.attrs.uid,
        gid: stat.attrs.gid,
        size: stat.size,
        data: stat.size,
        links: stat.links,
        device: (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12),
        mtime: stat.attrs.mtime,
    }
}

fn shown_attributes(shown: &Shown) -> (Kind, Attributes) {
    let (kind, mode, size) = match shown {
        Shown::Directory => (Kind::Directory, 0o755, 4096),
        Shown::File(bytes, mode) => (Kind::File, *mode, bytes.len()),
    };
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    (
        kind,
        Attributes { mode: bits(kind) | mode, size, data: size, links: 1, ..Attributes::default() },
    )
}

/// Returns the bits of `st_mode` for a kind.
fn bits(kind: Kind) -> u32 {
    match kind {
        Kind::Fifo => 0o010_000,
        Kind::Char => 0o020_000,
        Kind::Directory => 0o040_000,
        Kind::Block => 0o060_000,
        Kind::File => 0o100_000,
        Kind::Symlink => 0o120_000,
        Kind::Socket => 0o140_000,
    }
}
