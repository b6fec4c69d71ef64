// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `copy-in`.

use std::collections::HashMap;
use std::fs::{self, File, FileType, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::argument::{action, host_path, pair, path};
use super::context::{check_file, write_from};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::{Attrs, Change, GuestPath, Kind, New, Time, Tree as _, TreeError};

/// How many sockets are named.
const NAMED: usize = 10;
/// How many folders may lie in one another.
const DEEPEST: usize = 512;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "copy-in",
    argument: Some("LOCALPATH:REMOTEDIR"),
    heading: "Copy files or directories of the host into the guest",
    documentation: "\
Copies LOCALPATH, a file or a directory of the host with all that is in it, into the guest's \
directory REMOTEDIR, which must be there. Permissions, times, links and hard links are kept, and \
owners by number, as virt-customize does: files of yours are yours in the guest, too, if you are \
not root. Symbolic links are copied as such; sockets are left out. A directory that is in the guest already gets what is \
new; files are replaced.

Wildcards cannot be used.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (from, to) = pair(text)?;
        action(CopyIn { from: host_path(from)?, to: path(to)? })
    },
};

#[derive(Debug)]
struct CopyIn {
    from: PathBuf,
    to: GuestPath,
}

impl Action for CopyIn {
    fn check(&self) -> Result<(), Problem> {
        check_below(&self.from)
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        scene.need_folder(&self.to)?;
        let failed = |source| Problem::Host { path: self.from.clone(), source };
        // `.` and `..` have a name, too.
        let name = match self.from.file_name() {
            Some(name) => name.to_owned(),
            None => {
                let real = fs::canonicalize(&self.from).map_err(failed)?;
                let name = real.file_name().map(ToOwned::to_owned);
                name.ok_or_else(|| Problem::refused("the root directory has no name to copy"))?
            }
        };
        let (mut names, mut sockets) = (HashMap::new(), Vec::new());
        let mut folders = Vec::new();
        let mut open = vec![(self.from.clone(), self.to.join(name.as_bytes()), 0)];
        while let Some((from, to, depth)) = open.pop() {
            let failed = |source| Problem::Host { path: from.clone(), source };
            let meta = fs::symlink_metadata(&from).map_err(failed)?;
            if meta.file_type().is_socket() {
                sockets.push(from);
                continue;
            }
            copy_one(scene, (&from, &meta), &to, &mut names)
                .map_err(|problem| problem.wanting(size_below(&self.from)))?;
            if !meta.is_dir() {
                continue;
            }
            if depth >= DEEPEST {
                let why = format!("`{}` has too many folders in one another", from.display());
                return Err(Problem::refused(why));
            }
            for entry in fs::read_dir(&from).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                open.push((entry.path(), to.join(entry.file_name().as_bytes()), depth + 1));
            }
            folders.push((to, attrs_of(&meta)));
        }
        note_sockets(scene, &sockets);
        // What was put into the folders changed their times.
        for (folder, attrs) in folders {
            let change = Change { mtime: Some(attrs.mtime), ..Change::default() };
            scene.tree.change(&folder, &change, true)?;
        }
        Ok(())
    }
}

/// Names what was left out: a socket is nothing without the program that listens on it.
fn note_sockets(scene: &mut Scene<'_>, sockets: &[PathBuf]) {
    for socket in sockets.iter().take(NAMED) {
        scene.note(format!("`{}` is a socket, and left out", socket.display()));
    }
    if let Some(more) = sockets.len().checked_sub(NAMED).filter(|more| *more > 0) {
        scene.note(format!("{more} more sockets are left out"));
    }
}

/// Returns how many bytes all files have; what cannot be read has none.
fn size_below(top: &Path) -> u64 {
    let (mut open, mut size) = (vec![top.to_owned()], 0_u64);
    while let Some(path) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else if meta.is_file() {
            size = size.saturating_add(meta.len());
        }
    }
    size
}

/// Fails unless a file or a folder of the host, with all that is in it, can be read.
fn check_below(top: &Path) -> Result<(), Problem> {
    let mut open = vec![top.to_owned()];
    while let Some(path) = open.pop() {
        let failed = |source| Problem::Host { path: path.clone(), source };
        let meta = fs::symlink_metadata(&path).map_err(failed)?;
        if meta.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                open.push(entry.map_err(failed)?.path());
            }
        } else if meta.is_file() {
            check_file(&path)?;
        }
    }
    Ok(())
}

fn attrs_of(meta: &Metadata) -> Attrs {
    let nanos = u32::try_from(meta.mtime_nsec()).unwrap_or_default();
    let mtime = Time { seconds: meta.mtime(), nanos };
    Attrs { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid(), mtime }
}

/// Removes what has the name, unless it is a directory that gets more.
fn make_room(scene: &mut Scene<'_>, to: &GuestPath, folder: bool) -> Result<bool, Problem> {
    match scene.tree.lstat(to)?.map(|stat| stat.kind) {
        Some(Kind::Directory) if folder => Ok(true),
        // A folder that the guest reaches by a link, such as /lib, stays one.
        Some(Kind::Symlink) if folder && scene.is_folder(to)? => Ok(true),
        Some(Kind::Directory) => Err(TreeError::NotAFile { path: to.clone() }.into()),
        Some(_) if folder => Err(TreeError::NotADirectory { path: to.clone() }.into()),
        Some(_) => {
            scene.tree.unlink(to)?;
            Ok(false)
        }
        None => Ok(false),
    }
}

fn copy_one(
    scene: &mut Scene<'_>,
    (from, meta): (&Path, &Metadata),
    to: &GuestPath,
    names: &mut HashMap<(u64, u64), GuestPath>,
) -> Result<(), Problem> {
    let attrs = attrs_of(meta);
    let there = make_room(scene, to, meta.is_dir())?;
    if there {
        let change = Change {
            mode: Some(attrs.mode),
            uid: Some(attrs.uid),
            gid: Some(attrs.gid),
            mtime: None,
        };
        return Ok(scene.tree.change(to, &change, true)?);
    }
    if !meta.is_dir() && meta.nlink() > 1 {
        if let Some(name) = names.get(&(meta.dev(), meta.ino())) {
            return Ok(scene.tree.hard_link(name, to)?);
        }
        names.insert((meta.dev(), meta.ino()), to.clone());
    }
    let failed = |source| Problem::Host { path: from.to_owned(), source };
    if meta.is_file() {
        let mut file = File::open(from).map_err(failed)?;
        return write_from(scene, to, &mut file, &attrs);
    }
    let new = if meta.is_symlink() {
        New::Symlink(fs::read_link(from).map_err(failed)?.as_os_str().as_bytes().to_vec())
    } else if meta.is_dir() {
        New::Directory
    } else {
        special(meta.file_type(), meta.rdev()).ok_or_else(|| {
            Problem::refused(format!("`{}` is nothing that can be copied", from.display()))
        })?
    };
    Ok(scene.tree.make(to, &new, &attrs)?)
}

fn special(kind: FileType, device: u64) -> Option<New> {
    // makedev(3) of glibc.
    let major = u32::try_from(((device >> 32) & 0xffff_f000) | ((device >> 8) & 0xfff)).ok()?;
    let minor = u32::try_from(((device >> 12) & 0xffff_ff00) | (device & 0xff)).ok()?;
    if kind.is_char_device() {
        Some(New::Char(major, minor))
    } else if kind.is_block_device() {
        Some(New::Block(major, minor))
    } else if kind.is_fifo() {
        Some(New::Fifo)
    } else {
        None
    }
}
