// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files that this process has as its root, as a guest's tree: for a process that has no
//! others, in namespaces of its own (`kiln_host::namespace`).
//!
//! Links are followed by the kernel, which cannot lead out of the process's root.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{
    FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink,
};
use std::path::Path;

use kiln_host::read;
use kiln_spec::Bytes;
use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Mode, Timespec, Timestamps, XattrFlags, lgetxattr, llistxattr,
    lremovexattr, lsetxattr, major, makedev, minor, mknodat, utimensat,
};
use rustix::io::Errno;

use crate::tree::{
    Attrs, Change, Entry, GuestPath, Kind, New, Stat, Time, Tree, TreeError, Usage, Xattrs,
};

/// Bytes that are copied at once.
const CHUNK: usize = 256 << 10;
/// The most bytes of an attribute's value, and of a list of names: xattr(7).
const MOST_XATTR: usize = 65_536;
/// `UTIME_OMIT`: leaves a time as it is.
const OMIT: i64 = (1 << 30) - 2;

/// The files that this process has as its root.
#[derive(Clone, Copy, Debug, Default)]
pub struct FolderTree {
    /// Later times of files are shown as this one.
    pub latest: Option<Time>,
}

fn host(path: &GuestPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

fn failed(what: &'static str, path: &GuestPath) -> impl Fn(io::Error) -> TreeError {
    move |source| {
        let path = path.clone();
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT) => TreeError::NotFound { path },
            Some(Errno::EXIST) => TreeError::Exists { path },
            Some(Errno::NOTDIR) => TreeError::NotADirectory { path },
            Some(Errno::ISDIR) => TreeError::NotAFile { path },
            Some(Errno::NOTEMPTY) => TreeError::NotEmpty { path },
            Some(Errno::LOOP) => TreeError::Loop { path },
            Some(Errno::NOSPC | Errno::DQUOT) => TreeError::NoSpace { path },
            _ => TreeError::Backend { what, path, source: Box::new(source) },
        }
    }
}

impl FolderTree {
    fn shown(&self, meta: &Metadata) -> Stat {
        let kind = meta.file_type();
        let kind = match () {
            () if kind.is_file() => Kind::File,
            () if kind.is_dir() => Kind::Directory,
            () if kind.is_symlink() => Kind::Symlink,
            () if kind.is_char_device() => Kind::Char,
            () if kind.is_block_device() => Kind::Block,
            () if kind.is_fifo() => Kind::Fifo,
            () => Kind::Socket,
        };
        let nanos = u32::try_from(meta.mtime_nsec()).unwrap_or(0);
        let mtime = Time { seconds: meta.mtime(), nanos };
        let is_late = |latest: &Time| (mtime.seconds, mtime.nanos) > (latest.seconds, latest.nanos);
        let mtime = self.latest.filter(is_late).unwrap_or(mtime);
        let device: Dev = meta.rdev();
        Stat {
            kind,
            attrs: Attrs { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid(), mtime },
            size: if matches!(kind, Kind::File | Kind::Symlink) { meta.size() } else { 0 },
            links: u32::try_from(meta.nlink()).unwrap_or(u32::MAX),
            device: match kind {
                Kind::Char | Kind::Block => (major(device), minor(device)),
                _ => (0, 0),
            },
            identity: (minor(meta.dev()), meta.ino()),
        }
    }
}

/// Nothing at a path is no error where that is asked.
fn maybe(found: io::Result<Metadata>, path: &GuestPath) -> Result<Option<Metadata>, TreeError> {
    match found {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn times(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: i64::from(mtime.nanos) },
    }
}

fn set_time(path: &GuestPath, mtime: Time) -> Result<(), TreeError> {
    utimensat(CWD, host(path), &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| failed("set the time of", path)(e.into()))
}

/// Owner first: a change of it takes the set-id bits away.
fn set_attrs(path: &GuestPath, attrs: &Attrs, is_link: bool) -> Result<(), TreeError> {
    lchown(host(path), Some(attrs.uid), Some(attrs.gid)).map_err(failed("chown", path))?;
    if !is_link {
        fs::set_permissions(host(path), Permissions::from_mode(attrs.mode))
            .map_err(failed("chmod", path))?;
    }
    set_time(path, attrs.mtime)
}

/// Copies to a file; chunks that are zeros become holes.
fn fill(file: &mut File, from: &mut dyn Read, path: &GuestPath) -> Result<(), TreeError> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0_u64;
    loop {
        let filled = read::full(from, &mut buffer)
            .map_err(|source| TreeError::Contents { path: path.clone(), source })?;
        if filled == 0 {
            return file.set_len(at).map_err(failed("write", path));
        }
        at += u64::try_from(filled).unwrap_or(0);
        let written = if buffer[..filled].iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Start(at)).map(drop)
        } else {
            file.write_all(&buffer[..filled])
        };
        written.map_err(failed("write", path))?;
    }
}

impl Tree for FolderTree {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        Ok(maybe(fs::metadata(host(path)), path)?.map(|meta| self.shown(&meta)))
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        Ok(maybe(fs::symlink_metadata(host(path)), path)?.map(|meta| self.shown(&meta)))
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        let read = || -> io::Result<Vec<Entry>> {
            let entries = fs::read_dir(host(dir))?.map(|entry| {
                let entry = entry?;
                let kind = self.shown(&entry.metadata()?).kind;
                Ok(Entry { name: entry.file_name().as_bytes().to_vec(), kind })
            });
            entries.collect()
        };
        let mut entries = read().map_err(failed("list", dir))?;
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        match fs::read_link(host(path)) {
            Ok(target) => Ok(target.as_os_str().as_bytes().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(TreeError::NotALink { path: path.clone() })
            }
            Err(error) => Err(failed("read", path)(error)),
        }
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        let meta = fs::metadata(host(path)).map_err(failed("read", path))?;
        if !meta.is_file() {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        let mut file = File::open(host(path)).map_err(failed("read", path))?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(meta.size()).unwrap_or(CHUNK) + 1)];
        let mut bytes = 0;
        loop {
            let n = match file.read(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed("read", path)(error)),
            };
            let written = out.write_all(&buffer[..n]);
            written.map_err(|source| TreeError::Output { path: path.clone(), source })?;
            bytes += u64::try_from(n).unwrap_or(0);
        }
    }

    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let there = maybe(fs::metadata(host(path)), path)?;
        if there.as_ref().is_some_and(|meta| !meta.is_file()) {
            return Err(TreeError::NotAFile { path: path.clone() });
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(host(path)).map_err(failed("write", path))?;
        fill(&mut file, contents, path)?;
        if there.is_none() {
            rustix::fs::fchown(
                &file,
                Some(rustix::fs::Uid::from_raw(attrs.uid)),
                Some(rustix::fs::Gid::from_raw(attrs.gid)),
            )
            .map_err(|e| failed("chown", path)(e.into()))?;
            file.set_permissions(Permissions::from_mode(attrs.mode))
                .map_err(failed("chmod", path))?;
        }
        rustix::fs::futimens(&file, &times(attrs.mtime))
            .map_err(|e| failed("set the time of", path)(e.into()))
    }

    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError> {
        let node = |kind, device| {
            mknodat(CWD, host(path), kind, Mode::from_raw_mode(0o600), device)
                .map_err(io::Error::from)
        };
        let made = match new {
            New::Directory => fs::create_dir(host(path)),
            New::Symlink(target) => symlink(OsStr::from_bytes(target), host(path)),
            New::Char(major, minor) => node(FileType::CharacterDevice, makedev(*major, *minor)),
            New::Block(major, minor) => node(FileType::BlockDevice, makedev(*major, *minor)),
            New::Fifo => node(FileType::Fifo, 0),
            New::Socket => node(FileType::Socket, 0),
        };
        match made {
            // No namespace may make devices. A machine's come from its kernel (devtmpfs).
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && matches!(new, New::Char(..) | New::Block(..)) =>
            {
                return Ok(());
            }
            other => other.map_err(failed("make", path))?,
        }
        set_attrs(path, attrs, matches!(new, New::Symlink(_)))
    }

    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError> {
        fs::hard_link(host(file), host(name)).map_err(failed("link", name))
    }

    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
        match fs::rename(host(from), host(to)) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                Err(TreeError::CrossDevice { from: from.clone(), to: to.clone() })
            }
            other => other.map_err(failed("move", from)),
        }
    }

    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        fs::remove_file(host(path)).map_err(failed("remove", path))
    }

    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        fs::remove_dir(host(path)).map_err(failed("remove", path))
    }

    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError> {
        let place = if follow {
            let real = fs::canonicalize(host(path)).map_err(failed("change", path))?;
            GuestPath::new(real.as_os_str().as_bytes())?
        } else {
            path.clone()
        };
        let meta = fs::symlink_metadata(host(&place)).map_err(failed("change", path))?;
        if change.uid.is_some() || change.gid.is_some() {
            lchown(host(&place), change.uid, change.gid).map_err(failed("chown", path))?;
        }
        // A change of the owner takes the set-id bits away.
        let mode = change.mode.unwrap_or(meta.mode() & 0o7777);
        if !meta.is_symlink() && (change.mode.is_some() || mode & 0o6000 != 0) {
            fs::set_permissions(host(&place), Permissions::from_mode(mode))
                .map_err(failed("chmod", path))?;
        }
        change.mtime.map_or(Ok(()), |mtime| set_time(&place, mtime))
    }

    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError> {
        let refused = |errno: Errno| failed("read the attributes of", path)(errno.into());
        let mut list = vec![0; 4096];
        let length = loop {
            match llistxattr(host(path), &mut list[..]) {
                Ok(length) => break length,
                Err(Errno::NOTSUP) => return Ok(Xattrs::new()),
                Err(Errno::RANGE) if list.len() < MOST_XATTR => list.resize(MOST_XATTR, 0),
                Err(errno) => return Err(refused(errno)),
            }
        };
        let mut found = Xattrs::new();
        for name in list[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
            let mut value = vec![0; MOST_XATTR];
            let length =
                lgetxattr(host(path), OsStr::from_bytes(name), &mut value[..]).map_err(refused)?;
            value.truncate(length);
            if let Ok(name) = std::str::from_utf8(name) {
                found.push((name.to_owned(), value));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        let refused = |errno: Errno| failed("change the attributes of", path)(errno.into());
        for (name, _) in self.xattrs(path)? {
            if !xattrs.iter().any(|(kept, _)| *kept == name) {
                lremovexattr(host(path), name.as_str()).map_err(refused)?;
            }
        }
        for (name, value) in xattrs {
            // Labels of SELinux and what only the first namespace may set: a relabelling, or
            // whoever made them, makes them anew.
            if name == "security.selinux" || name.starts_with("trusted.") {
                continue;
            }
            lsetxattr(host(path), name.as_str(), value, XattrFlags::empty()).map_err(refused)?;
        }
        Ok(())
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        let root = GuestPath::root();
        let stat = rustix::fs::statvfs("/").map_err(|e| failed("look at", &root)(e.into()))?;
        Ok(vec![Usage {
            mounted_on: root,
            source: "layers".to_owned(),
            fs: "overlay".to_owned(),
            size: Bytes(stat.f_blocks.saturating_mul(stat.f_frsize)),
            free: Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)),
            inodes: stat.f_files,
            free_inodes: stat.f_ffree,
        }])
    }
}
