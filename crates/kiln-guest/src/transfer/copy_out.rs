// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files of a guest, copied to the host.
//!
//! **Invariant:** nothing is written outside of the folder that is named: each name is checked,
//! folders are opened without following links, and a file is always a new one.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens,
    mkdirat, openat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::TransferError;
use crate::tree::{GuestPath, Kind, Stat, Time, Tree, TreeError};

/// The most directories within each other.
const DEEPEST: usize = 512;
/// Zeros of at least this length become holes.
const HOLE: usize = 64 << 10;

/// How files are copied out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOut {
    /// Whether symbolic links are made that lead out of what is copied. Others always are.
    pub all_links: bool,
}

/// What was copied out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiedOut {
    /// How many files, links and directories.
    pub entries: u64,
    /// Bytes of contents.
    pub bytes: u64,
    /// What was not copied.
    pub left_out: Vec<LeftOut>,
}

/// Something that was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Where it is in the guest.
    pub path: GuestPath,
    /// Why not.
    pub why: &'static str,
}

/// Copies a file, or a directory with all that is in it, into the folder `to` of the host, under
/// its own name.
///
/// # Effects
///
/// Files that are there are replaced, directories are added to. Owners are not kept, nor set-id
/// bits, extended attributes, devices, pipes and sockets; links stay links. A link at the end of
/// `from` is followed.
///
/// # Errors
///
/// [`TransferError::Host`]; [`TransferError::Tree`]. What was copied so far stays.
pub fn copy_out(
    tree: &mut dyn Tree,
    from: &GuestPath,
    to: &Path,
    options: CopyOut,
) -> Result<CopiedOut, TransferError> {
    let open = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, to, open, Mode::empty()).map_err(host(to))?;
    let stat = tree.stat(from)?.ok_or_else(|| TreeError::NotFound { path: from.clone() })?;
    let mut copy = Copy { tree, options, done: CopiedOut::default(), been: HashSet::new() };
    match (from.name(), stat.kind) {
        // The guest's root has no name: what is in it is copied.
        (None | Some(b".."), Kind::Directory) => copy.all(from, &folder, (to, 0))?,
        (Some(name), _) => copy.one((from, name, &stat), &folder, (to, 0))?,
        (None, _) => return Err(TreeError::NotADirectory { path: from.clone() }.into()),
    }
    Ok(copy.done)
}

fn host<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> TransferError {
    let path = path.to_owned();
    move |source| TransferError::Host { path, source: source.into() }
}

struct Copy<'a> {
    tree: &'a mut dyn Tree,
    options: CopyOut,
    done: CopiedOut,
    been: HashSet<(u32, u64)>,
}

impl Copy<'_> {
    fn leave(&mut self, path: &GuestPath, why: &'static str) {
        self.done.left_out.push(LeftOut { path: path.clone(), why });
    }

    fn all(
        &mut self,
        dir: &GuestPath,
        folder: &OwnedFd,
        (to, depth): (&Path, usize),
    ) -> Result<(), TransferError> {
        for entry in self.tree.list(dir)? {
            let path = dir.join(&entry.name);
            if !is_name(&entry.name) {
                self.leave(&path, "its name cannot be one of a file");
                continue;
            }
            let Some(stat) = self.tree.lstat(&path)? else { continue };
            self.one((&path, &entry.name, &stat), folder, (to, depth))?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        (path, name, stat): (&GuestPath, &[u8], &Stat),
        folder: &OwnedFd,
        (to, depth): (&Path, usize),
    ) -> Result<(), TransferError> {
        let name = OsStr::from_bytes(name);
        let to = to.join(name);
        match stat.kind {
            Kind::File => self.file((path, stat), (folder, name), &to)?,
            Kind::Symlink => {
                let target = self.tree.read_link(path)?;
                if !self.options.all_links && !stays(&target, depth) {
                    self.leave(path, "the link leads out of what is copied");
                    return Ok(());
                }
                make_room(folder, name).map_err(host(&to))?;
                symlinkat(OsStr::from_bytes(&target), folder, name).map_err(host(&to))?;
            }
            Kind::Directory => {
                if depth >= DEEPEST || !self.been.insert(stat.identity) {
                    return Err(TreeError::TooDeep { path: path.clone() }.into());
                }
                let inner = make_folder(folder, name).map_err(host(&to))?;
                self.all(path, &inner, (&to, depth + 1))?;
                finish(&inner, stat).map_err(host(&to))?;
            }
            Kind::Char | Kind::Block => {
                self.leave(path, "it is a device");
                return Ok(());
            }
            Kind::Fifo | Kind::Socket => {
                self.leave(path, "it is a pipe or a socket");
                return Ok(());
            }
        }
        self.done.entries += 1;
        Ok(())
    }

    fn file(
        &mut self,
        (path, stat): (&GuestPath, &Stat),
        (folder, name): (&OwnedFd, &OsStr),
        to: &Path,
    ) -> Result<(), TransferError> {
        make_room(folder, name).map_err(host(to))?;
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o600);
        let file = openat(folder, name, new | OFlags::CLOEXEC, mode).map_err(host(to))?;
        let mut out = Sparse { file: File::from(file), len: 0 };
        match self.tree.copy_out(path, &mut out) {
            Ok(bytes) => self.done.bytes += bytes,
            Err(TreeError::Output { source, .. }) => return Err(host(to)(source)),
            Err(error) => return Err(error.into()),
        }
        out.file.set_len(out.len).map_err(host(to))?;
        finish(&out.file.into(), stat).map_err(host(to))
    }
}

/// Returns whether a name can stand in a folder of the host and leads nowhere else.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// Returns whether a link that lies `depth` folders deep leads to a place that is copied, too, as
/// far as its words tell.
fn stays(target: &[u8], depth: usize) -> bool {
    let mut deep = depth;
    for name in target.split(|&b| b == b'/') {
        match name {
            b"" | b"." => (),
            b".." if deep <= 1 => return false,
            b".." => deep -= 1,
            _ => deep += 1,
        }
    }
    depth > 0 && !target.starts_with(b"/")
}

/// Removes what has a name, unless it is a folder.
fn make_room(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a folder, which is made if it is not there; a link to one is not taken for it.
fn make_folder(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    match mkdirat(folder, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => (),
        Err(error) => return Err(error),
    }
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let open = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, open, Mode::empty())
}

/// Sets permissions, without set-id bits, and the time of change.
fn finish(fd: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
    let Time { seconds, nanos } = stat.attrs.mtime;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos.min(999_999_999)) },
    };
    fchmod(fd, Mode::from_raw_mode(stat.attrs.mode & 0o777))?;
    futimens(fd, &times)
}

/// A file in which long runs of zeros are left out.
struct Sparse {
    file: File,
    len: u64,
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(HOLE)];
        if part.len() < HOLE || part.iter().any(|&b| b != 0) {
            self.file.seek(SeekFrom::Start(self.len))?;
            self.file.write_all(part)?;
        }
        self.len += u64::try_from(part.len()).expect("64 KiB at most");
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_within_what_is_copied() {
        for (target, depth, inside) in [
            ("x", 1, true),
            ("../x", 1, false),
            ("../x", 2, true),
            ("sub/../../x", 1, false),
            ("sub/../x", 1, true),
            ("/etc/passwd", 5, false),
            ("x", 0, false),
        ] {
            assert_eq!(stays(target.as_bytes(), depth), inside, "{target} {depth}");
        }
        for name in ["", ".", "..", "a/b", "a\0"] {
            assert!(!is_name(name.as_bytes()), "{name:?}");
        }
    }
}
