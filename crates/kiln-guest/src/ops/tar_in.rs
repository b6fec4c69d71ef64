// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `tar-in`, and unpacking archives into a guest.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::PathBuf;

use kiln_disk::decompress::Decompressed;
use kiln_disk::tar::{Entry, EntryKind, Reader};

use super::argument::{action, host_path, pair, path};
use super::context::{check_file, host_open};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::{Attrs, Change, GuestPath, Kind, New, Time, Tree, TreeError, make_dirs};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "tar-in",
    argument: Some("TARFILE:REMOTEDIR"),
    heading: "Unpack a tar archive into the guest",
    documentation: "\
Unpacks TARFILE, an archive of the host, into the guest's directory REMOTEDIR, which must be there. \
Owners (by number), permissions, times, extended attributes, links and devices are kept. The \
archive may be compressed with gzip, xz, zstd or bzip2; that is told from its contents.

Nothing gets out of REMOTEDIR by way of the archive: a member with .. in its path is an error, and \
so is one that would be written through a symbolic link of the archive itself. Links that the guest \
has are followed: a directory lib/ gets into /usr/lib where /lib leads there.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (file, dir) = pair(text)?;
        action(TarIn { file: host_path(file)?, dir: path(dir)? })
    },
};

#[derive(Debug)]
struct TarIn {
    file: PathBuf,
    dir: GuestPath,
}

impl Action for TarIn {
    fn check(&self) -> Result<(), Problem> {
        check_file(&self.file)
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        scene.need_folder(&self.dir)?;
        let failed = |source| Problem::Host { path: self.file.clone(), source };
        let stream = Decompressed::new(host_open(&self.file)?).map_err(failed)?;
        let attrs = scene.attrs(0o755);
        unpack(&mut scene.tree, stream, &self.dir, &attrs)
    }
}

/// Unpacks a tar archive into the directory `dir` of a tree. Folders that the archive does not
/// name get `attrs`.
///
/// # Errors
///
/// [`Problem::Tar`], [`Problem::Tree`]; [`Problem::Refused`] for a member that would be written
/// through a symbolic link of the archive itself.
pub fn unpack(
    tree: &mut dyn Tree,
    from: impl Read,
    dir: &GuestPath,
    attrs: &Attrs,
) -> Result<(), Problem> {
    let mut reader = Reader::new(from);
    let mut links = HashSet::new();
    let mut folders = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let target = dir.join(&entry.path);
        check_way(&entry.path, &links)?;
        if let EntryKind::HardLink(name) = &entry.kind {
            check_way(name, &links)?;
        }
        if entry.path.is_empty() {
            folders.push((target, entry));
            continue;
        }
        if let Some(parent) = target.parent() {
            make_dirs(tree, &parent, attrs)?;
        }
        match entry.kind {
            EntryKind::Symlink(_) => drop(links.insert(entry.path.clone())),
            _ => drop(links.remove(&entry.path)),
        }
        place(tree, &mut reader, &entry, dir)?;
        if entry.kind == EntryKind::Directory {
            folders.push((target, entry));
        }
    }
    // What was put into the folders changed their times, and may have needed their permissions.
    for (folder, entry) in folders.iter().rev() {
        if let Some(stat) = tree.stat(folder)?
            && stat.kind == Kind::Directory
        {
            tree.change(folder, &all(entry), true)?;
        }
    }
    Ok(())
}

/// Fails if a path leads through a symbolic link that the archive made.
fn check_way(path: &[u8], links: &HashSet<Vec<u8>>) -> Result<(), Problem> {
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    for end in ends {
        if links.contains(&path[..end]) {
            let shown = String::from_utf8_lossy(path).escape_debug().to_string();
            let why =
                format!("`{shown}` in the archive would be written through a link of its own");
            return Err(Problem::refused(why));
        }
    }
    Ok(())
}

fn attrs_of(entry: &Entry) -> Attrs {
    let mtime = Time { seconds: entry.mtime.0, nanos: entry.mtime.1 };
    Attrs { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime }
}

fn all(entry: &Entry) -> Change {
    let Attrs { mode, uid, gid, mtime } = attrs_of(entry);
    Change { mode: Some(mode), uid: Some(uid), gid: Some(gid), mtime: Some(mtime) }
}

/// Puts one member into the tree, in place of what has its name.
fn place(
    tree: &mut dyn Tree,
    reader: &mut Reader<impl Read>,
    entry: &Entry,
    dir: &GuestPath,
) -> Result<(), Problem> {
    let to = dir.join(&entry.path);
    let is_folder = entry.kind == EntryKind::Directory;
    let there = tree.lstat(&to)?.map(|stat| stat.kind);
    let leads = |tree: &mut dyn Tree| -> Result<bool, TreeError> {
        Ok(tree.stat(&to)?.is_some_and(|stat| stat.kind == Kind::Directory))
    };
    match there {
        Some(Kind::Directory) if is_folder => return set_xattrs(tree, &to, entry),
        Some(Kind::Symlink) if is_folder && leads(tree)? => return Ok(()),
        // As tar: an empty directory makes room, a full one does not.
        Some(Kind::Directory) => tree.rmdir(&to)?,
        Some(_) => {
            if let EntryKind::HardLink(name) = &entry.kind
                && dir.join(name) == to
            {
                return Ok(());
            }
            tree.unlink(&to)?;
        }
        None => {}
    }
    let attrs = attrs_of(entry);
    let new = match &entry.kind {
        EntryKind::File => {
            let written = tree.write(&to, reader, &attrs);
            if let Err(TreeError::Contents { source, .. }) = &written
                && source.kind() == io::ErrorKind::UnexpectedEof
            {
                let path = reader.path().to_vec();
                return Err(kiln_disk::tar::TarError::Truncated { path }.into());
            }
            written?;
            return set_xattrs(tree, &to, entry);
        }
        EntryKind::HardLink(name) => return Ok(tree.hard_link(&dir.join(name), &to)?),
        EntryKind::Directory => New::Directory,
        EntryKind::Symlink(target) => New::Symlink(target.clone()),
        EntryKind::Char(major, minor) => New::Char(*major, *minor),
        EntryKind::Block(major, minor) => New::Block(*major, *minor),
        EntryKind::Fifo => New::Fifo,
    };
    tree.make(&to, &new, &attrs)?;
    set_xattrs(tree, &to, entry)
}

fn set_xattrs(tree: &mut dyn Tree, path: &GuestPath, entry: &Entry) -> Result<(), Problem> {
    if !entry.xattrs.is_empty() {
        tree.set_xattrs(path, &entry.xattrs)?;
    }
    Ok(())
}
