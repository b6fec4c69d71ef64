// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file system that the host's kernel holds, as a [`Volume`].
//!
//! **Invariant:** no path of the guest is given to the kernel to be resolved: each name is looked
//! up by itself in its directory, links are not followed, and no mount of the host is entered.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use kiln_host::read::{self, Holes};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, StatVfs, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use super::volume::{Fill, Node, NodeStat, Place, Volume, VolumeError};
use crate::tree::{Attrs, Entry, Kind, New, Time, Xattrs};

/// Bytes that are written at once; runs of zeros as long become holes.
const CHUNK: usize = 64 << 10;
/// The most bytes of one attribute: `XATTR_SIZE_MAX`.
const MOST_VALUE: usize = 64 << 10;
/// The most bytes of all names of attributes: `XATTR_LIST_MAX`.
const MOST_NAMES: usize = 64 << 10;
/// How XFS shows access control lists a second time, by names of its own.
const ALIASES: [&[u8]; 2] = [b"trusted.SGI_ACL_FILE", b"trusted.SGI_ACL_DEFAULT"];

/// A place that was seen: where it was last.
#[derive(Clone, Debug)]
struct Seen {
    dir: Node,
    name: Vec<u8>,
}

/// A file system that the kernel holds.
#[derive(Debug)]
pub(super) struct Mounted {
    root: OwnedFd,
    fs: String,
    /// By their numbers; the root is 0.
    seen: Vec<Seen>,
    numbers: HashMap<(u64, u64), Node>,
    /// The directory and the file that were used last.
    dir: Option<(Node, OwnedFd)>,
    file: Option<(Node, File)>,
}

fn error(error: Errno) -> VolumeError {
    match error {
        Errno::EXIST => VolumeError::Exists,
        Errno::NOTEMPTY => VolumeError::NotEmpty,
        Errno::NOSPC | Errno::DQUOT => VolumeError::NoSpace,
        Errno::PERM
        | Errno::ROFS
        | Errno::OPNOTSUPP
        | Errno::NAMETOOLONG
        | Errno::MLINK
        | Errno::INVAL
        | Errno::ACCESS => VolumeError::Refused(io::Error::from(error).to_string()),
        other => VolumeError::Failed(Box::new(io::Error::from(other))),
    }
}

fn io_error(source: io::Error) -> VolumeError {
    match Errno::from_io_error(&source) {
        Some(errno) => error(errno),
        None => VolumeError::Failed(Box::new(source)),
    }
}

fn kind(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        _ => Kind::File,
    }
}

impl Mounted {
    /// Returns the file system whose root is open; `fs` is its kind.
    pub(super) fn new(root: OwnedFd, fs: &str) -> Result<Self, VolumeError> {
        let stat = rustix::fs::fstat(&root).map_err(error)?;
        let numbers = HashMap::from([((stat.st_dev, stat.st_ino), 0)]);
        let seen = vec![Seen { dir: 0, name: b".".to_vec() }];
        Ok(Self { root, fs: fs.to_owned(), seen, numbers, dir: None, file: None })
    }

    fn seen(&self, node: Node) -> Result<&Seen, VolumeError> {
        let index = usize::try_from(node).unwrap_or(usize::MAX);
        self.seen.get(index).ok_or_else(|| VolumeError::Failed("no such file".into()))
    }

    /// Remembers what has a name.
    fn note(&mut self, place: Place<'_>, key: (u64, u64)) -> Result<Node, VolumeError> {
        let now = Seen { dir: place.dir, name: place.name.to_vec() };
        if let Some(&node) = self.numbers.get(&key) {
            let index = usize::try_from(node).unwrap_or(usize::MAX);
            if let Some(seen) = self.seen.get_mut(index).filter(|_| node != 0) {
                *seen = now;
            }
            return Ok(node);
        }
        let node = u64::try_from(self.seen.len()).map_err(|e| VolumeError::Failed(Box::new(e)))?;
        self.seen.push(now);
        self.numbers.insert(key, node);
        Ok(node)
    }

    /// Opens a directory to look names up in it.
    fn open_dir(&mut self, dir: Node) -> Result<&OwnedFd, VolumeError> {
        if dir == 0 {
            return Ok(&self.root);
        }
        if self.dir.as_ref().is_none_or(|(node, _)| *node != dir) {
            let mut names = Vec::new();
            let mut node = dir;
            while node != 0 {
                let seen = self.seen(node)?;
                names.push(seen.name.clone());
                node = seen.dir;
                if names.len() > self.seen.len() {
                    return Err(VolumeError::Failed("a directory is in itself".into()));
                }
            }
            let mut open: Option<OwnedFd> = None;
            for name in names.iter().rev() {
                let above = open.as_ref().unwrap_or(&self.root);
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
                open = Some(open_at(above, name, flags)?);
            }
            self.dir = open.map(|fd| (dir, fd));
        }
        Ok(self.dir.as_ref().map_or(&self.root, |(_, fd)| fd))
    }

    /// Returns a node's directory, open, and its name there.
    fn at(&mut self, node: Node) -> Result<(&OwnedFd, Vec<u8>), VolumeError> {
        let Seen { dir, name } = self.seen(node)?.clone();
        Ok((self.open_dir(dir)?, name))
    }

    /// Opens a file, which is known to be one, anew only if another was open.
    fn open_file(&mut self, node: Node) -> Result<&File, VolumeError> {
        if self.file.as_ref().is_none_or(|(open, _)| *open != node) {
            let (dir, name) = self.at(node)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(open_at(dir, &name, flags)?);
            self.file = Some((node, file));
        }
        match &self.file {
            Some((_, file)) => Ok(file),
            None => Err(VolumeError::Failed("no such file".into())),
        }
    }

    /// Returns how to name a node to calls that take no directory; a link is not followed by them.
    fn path(&mut self, node: Node) -> Result<Vec<u8>, VolumeError> {
        let (dir, name) = self.at(node)?;
        let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
        path.extend(name);
        Ok(path)
    }

    fn fill_file(file: &File, contents: &mut dyn Holes) -> Result<(), VolumeError> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            at += contents.skip_hole(1);
            let known = contents.before_hole();
            let want = known.and_then(|known| usize::try_from(known).ok());
            let want = want.map_or(CHUNK, |known| known.clamp(1, CHUNK));
            let len = read::full(contents, &mut buffer[..want]).map_err(VolumeError::Contents)?;
            if known.is_some() || buffer[..len].iter().any(|byte| *byte != 0) {
                file.write_all_at(&buffer[..len], at).map_err(io_error)?;
            }
            at += u64::try_from(len).unwrap_or(u64::MAX);
            if len < want {
                return file.set_len(at).map_err(io_error);
            }
        }
    }

    /// Gives what has a name its owner, permissions and time.
    fn dress(dir: impl AsFd, name: &[u8], attrs: &Attrs, link: bool) -> Result<(), VolumeError> {
        let name = OsStr::from_bytes(name);
        let (uid, gid) = (Uid::from_raw(attrs.uid), Gid::from_raw(attrs.gid));
        let still = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&dir, name, Some(uid), Some(gid), still).map_err(error)?;
        if !link {
            // It is no link, and nobody else is here to make it one.
            let mode = Mode::from_raw_mode(attrs.mode & 0o7777);
            rustix::fs::chmodat(&dir, name, mode, AtFlags::empty()).map_err(error)?;
        }
        set_time(dir, name, attrs.mtime)
    }
}

fn set_time(dir: impl AsFd, name: &OsStr, time: Time) -> Result<(), VolumeError> {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(error)
}

/// Opens one name of a directory.
fn open_at(dir: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, VolumeError> {
    let within = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(dir, OsStr::from_bytes(name), flags, Mode::empty(), within).map_err(error)
}

impl Volume for Mounted {
    fn fs(&self) -> &str {
        &self.fs
    }

    fn root(&self) -> Node {
        0
    }

    fn child(&mut self, place: Place<'_>) -> Result<Option<Node>, VolumeError> {
        let dir = self.open_dir(place.dir)?;
        let name = OsStr::from_bytes(place.name);
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => self.note(place, (stat.st_dev, stat.st_ino)).map(Some),
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
            Err(other) => Err(error(other)),
        }
    }

    fn stat(&mut self, node: Node) -> Result<NodeStat, VolumeError> {
        let (dir, name) = self.at(node)?;
        let stat = rustix::fs::statat(dir, OsStr::from_bytes(&name), AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(error)?;
        let kind = kind(stat.st_mode);
        let device = match kind {
            Kind::Char | Kind::Block => {
                (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))
            }
            _ => (0, 0),
        };
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        Ok(NodeStat {
            kind,
            attrs: Attrs {
                mode: stat.st_mode & 0o7777,
                uid: stat.st_uid,
                gid: stat.st_gid,
                mtime: Time { seconds: stat.st_mtime, nanos },
            },
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            device,
        })
    }

    fn list(&mut self, dir: Node) -> Result<Vec<Entry>, VolumeError> {
        let (above, name) = self.at(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = open_at(above, &name, flags)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&open).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let name = OsStr::from_bytes(&name);
                    let stat = rustix::fs::statat(&open, name, AtFlags::SYMLINK_NOFOLLOW);
                    kind(stat.map_err(error)?.st_mode)
                }
                known => kind(known.as_raw_mode()),
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_link(&mut self, link: Node) -> Result<Vec<u8>, VolumeError> {
        let (dir, name) = self.at(link)?;
        let target = rustix::fs::readlinkat(dir, OsStr::from_bytes(&name), Vec::new());
        Ok(target.map_err(error)?.into_bytes())
    }

    fn read_at(&mut self, file: Node, at: u64, buf: &mut [u8]) -> Result<usize, VolumeError> {
        self.open_file(file)?.read_at(buf, at).map_err(io_error)
    }

    fn create_file(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        let dir = self.open_dir(place.dir)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = OsStr::from_bytes(place.name);
        let file = rustix::fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR).map_err(error)?;
        let mut file = File::from(file);
        let done = Self::fill_file(&file, contents);
        let done = done.and_then(|()| file.flush().map_err(io_error));
        if let Err(failed) = done {
            // What could not be written whole is not left.
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
            return Err(failed);
        }
        Self::dress(dir, place.name, attrs, false)
    }

    fn replace(
        &mut self,
        place: Place<'_>,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), VolumeError> {
        self.file = None;
        let dir = self.open_dir(place.dir)?;
        let name = OsStr::from_bytes(place.name);
        let before = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(open_at(dir, place.name, flags)?);
        file.set_len(0).map_err(io_error)?;
        Self::fill_file(&file, contents)?;
        // Writing takes set-id bits away.
        let mode = Mode::from_raw_mode(before.st_mode & 0o7777);
        rustix::fs::fchmod(&file, mode).map_err(error)?;
        set_time(dir, name, attrs.mtime)
    }

    fn create(&mut self, place: Place<'_>, new: &New, attrs: &Attrs) -> Result<(), VolumeError> {
        let dir = self.open_dir(place.dir)?;
        let name = OsStr::from_bytes(place.name);
        let mode = Mode::RUSR | Mode::WUSR;
        let node = |kind, (major, minor)| {
            rustix::fs::mknodat(dir, name, kind, mode, rustix::fs::makedev(major, minor))
        };
        let made = match new {
            New::Directory => rustix::fs::mkdirat(dir, name, Mode::RWXU),
            New::Symlink(target) => rustix::fs::symlinkat(OsStr::from_bytes(target), dir, name),
            New::Char(major, minor) => node(FileType::CharacterDevice, (*major, *minor)),
            New::Block(major, minor) => node(FileType::BlockDevice, (*major, *minor)),
            New::Fifo => node(FileType::Fifo, (0, 0)),
            New::Socket => node(FileType::Socket, (0, 0)),
        };
        made.map_err(error)?;
        Self::dress(dir, place.name, attrs, matches!(new, New::Symlink(_)))
    }

    fn link(&mut self, file: Node, place: Place<'_>) -> Result<(), VolumeError> {
        let (from, old) = self.at(file)?;
        let from = rustix::io::fcntl_dupfd_cloexec(from, 0).map_err(error)?;
        let to = self.open_dir(place.dir)?;
        let (old, new) = (OsStr::from_bytes(&old), OsStr::from_bytes(place.name));
        rustix::fs::linkat(&from, old, to, new, AtFlags::empty()).map_err(error)
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<(), VolumeError> {
        let moved = self.child(from)?;
        let old = rustix::io::fcntl_dupfd_cloexec(self.open_dir(from.dir)?, 0).map_err(error)?;
        let new = self.open_dir(to.dir)?;
        let names = (OsStr::from_bytes(from.name), OsStr::from_bytes(to.name));
        rustix::fs::renameat(&old, names.0, new, names.1).map_err(error)?;
        // What was open by a path may lie elsewhere now.
        self.dir = None;
        let index = moved.and_then(|node| usize::try_from(node).ok());
        if let Some(seen) = index.and_then(|index| self.seen.get_mut(index)) {
            *seen = Seen { dir: to.dir, name: to.name.to_vec() };
        }
        Ok(())
    }

    fn remove(&mut self, place: Place<'_>) -> Result<(), VolumeError> {
        let node = self.child(place)?;
        self.file = None;
        let dir = self.open_dir(place.dir)?;
        let name = OsStr::from_bytes(place.name);
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        let is_dir = kind(stat.st_mode) == Kind::Directory;
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(dir, name, flags).map_err(error)?;
        if is_dir || stat.st_nlink <= 1 {
            // The number may be another file's from now on.
            self.numbers.remove(&(stat.st_dev, stat.st_ino));
            if self.dir.as_ref().is_some_and(|(open, _)| Some(*open) == node) {
                self.dir = None;
            }
        }
        Ok(())
    }

    fn set_attrs(&mut self, node: Node, attrs: &Attrs) -> Result<(), VolumeError> {
        let link = self.stat(node)?.kind == Kind::Symlink;
        let (dir, name) = self.at(node)?;
        Self::dress(dir, &name, attrs, link)
    }

    fn xattrs(&mut self, node: Node) -> Result<Xattrs, VolumeError> {
        let path = self.path(node)?;
        let path = OsStr::from_bytes(&path);
        let mut list = vec![0_u8; MOST_NAMES];
        let len = match rustix::fs::llistxattr(path, &mut list[..]) {
            Ok(len) => len,
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(other) => return Err(error(other)),
        };
        let mut xattrs = Xattrs::new();
        let mut value = vec![0_u8; MOST_VALUE];
        let names = list[..len].split(|byte| *byte == 0);
        for name in names.filter(|name| !name.is_empty() && !ALIASES.contains(name)) {
            let len = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]);
            let len = len.map_err(error)?;
            let odd = |_| VolumeError::Failed("an attribute's name is no text".into());
            let name = String::from_utf8(name.to_vec()).map_err(odd)?;
            xattrs.push((name, value[..len].to_vec()));
        }
        xattrs.sort();
        Ok(xattrs)
    }

    fn set_xattrs(&mut self, node: Node, xattrs: &Xattrs) -> Result<(), VolumeError> {
        let before = self.xattrs(node)?;
        let path = self.path(node)?;
        let path = OsStr::from_bytes(&path);
        for (name, _) in before.iter().filter(|(old, _)| xattrs.iter().all(|(n, _)| n != old)) {
            rustix::fs::lremovexattr(path, name.as_str()).map_err(error)?;
        }
        for (name, value) in xattrs.iter().filter(|xattr| !before.contains(xattr)) {
            let set = rustix::fs::lsetxattr(path, name.as_str(), value, XattrFlags::empty());
            set.map_err(error)?;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<Fill, VolumeError> {
        let StatVfs { f_frsize, f_blocks, f_bavail, f_files, f_ffree, .. } =
            rustix::fs::fstatvfs(&self.root).map_err(error)?;
        Ok(Fill {
            size: f_blocks.saturating_mul(f_frsize),
            free: f_bavail.saturating_mul(f_frsize),
            inodes: f_files,
            free_inodes: f_ffree,
        })
    }

    fn close(self: Box<Self>) -> Result<(), VolumeError> {
        let Self { root, dir, file, .. } = *self;
        drop((dir, file));
        // What fsmount(2) gives only stands for the place.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = open_at(&root, b".", flags)?;
        rustix::fs::syncfs(&open).map_err(error)
    }
}
