// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies within a guest.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom};

use tempfile::SpooledTempFile;

use super::walk::remove_all;
use super::{Attrs, Change, Found, GuestPath, Kind, New, Tree, TreeError, find_all};

/// Bytes of a file that are held in memory while it is copied; more go to a temporary file.
const SPOOL: usize = 8 << 20;

/// Copies `from`, and all that is below it, to the name `to`, as `cp -a` does: with owners,
/// permissions, times, extended attributes, links and devices; names of one file stay names of
/// one file. A file that is there is overwritten, a directory is copied into.
///
/// # Effects
///
/// A file of more than 8 MiB passes through a temporary file of the host, without a name.
///
/// # Errors
///
/// As [`super::visit`] and [`Tree::write`]; [`TreeError::Exists`] if something of another kind is there;
/// [`TreeError::ReadOnly`] if `to` is within `from`.
pub fn copy(tree: &mut dyn Tree, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
    if to.is_within(from) {
        let why = "a directory cannot be copied into itself".to_owned();
        return Err(TreeError::ReadOnly { path: to.clone(), why });
    }
    let mut names: HashMap<(u32, u64), GuestPath> = HashMap::new();
    // All of it is known before anything is written, so that no copy is copied again.
    let all = find_all(tree, from)?;
    for found in &all {
        let rest = found.path.as_bytes().strip_prefix(from.as_bytes());
        let target = to.join(rest.unwrap_or_default());
        if found.stat.kind == Kind::File && found.stat.links > 1 {
            if let Some(name) = names.get(&found.stat.identity) {
                remove_all(tree, &target)?;
                tree.hard_link(name, &target)?;
                continue;
            }
            names.insert(found.stat.identity, target.clone());
        }
        copy_one(tree, found, &target)?;
    }
    // What is put into a directory changes its time.
    for found in all.iter().filter(|found| found.stat.kind == Kind::Directory) {
        let rest = found.path.as_bytes().strip_prefix(from.as_bytes());
        let change = Change { mtime: Some(found.stat.attrs.mtime), ..Change::default() };
        tree.change(&to.join(rest.unwrap_or_default()), &change, false)?;
    }
    Ok(())
}

fn copy_one(tree: &mut dyn Tree, found: &Found, to: &GuestPath) -> Result<(), TreeError> {
    let Found { path, stat, .. } = found;
    let (major, minor) = stat.device;
    match stat.kind {
        Kind::File => copy_contents(tree, path, to, &stat.attrs)?,
        Kind::Directory if is_directory(tree, to)? => (),
        Kind::Directory => tree.make(to, &New::Directory, &stat.attrs)?,
        Kind::Symlink => {
            let target = tree.read_link(path)?;
            tree.make(to, &New::Symlink(target), &stat.attrs)?;
        }
        Kind::Char => tree.make(to, &New::Char(major, minor), &stat.attrs)?,
        Kind::Block => tree.make(to, &New::Block(major, minor), &stat.attrs)?,
        Kind::Fifo => tree.make(to, &New::Fifo, &stat.attrs)?,
        Kind::Socket => tree.make(to, &New::Socket, &stat.attrs)?,
    }
    let Attrs { mode, uid, gid, mtime } = stat.attrs;
    let change = Change { mode: Some(mode), uid: Some(uid), gid: Some(gid), mtime: Some(mtime) };
    tree.change(to, &change, false)?;
    let xattrs = tree.xattrs(path)?;
    tree.set_xattrs(to, &xattrs)
}

fn is_directory(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    Ok(tree.lstat(path)?.is_some_and(|stat| stat.kind == Kind::Directory))
}

fn copy_contents(
    tree: &mut dyn Tree,
    from: &GuestPath,
    to: &GuestPath,
    attrs: &Attrs,
) -> Result<(), TreeError> {
    if tree.lstat(to)?.is_some_and(|there| there.kind != Kind::File) {
        return Err(TreeError::Exists { path: to.clone() });
    }
    let mut spool = SpooledTempFile::new(SPOOL);
    tree.copy_out(from, &mut spool)?;
    let rewound = spool.seek(SeekFrom::Start(0));
    rewound.map_err(|source| TreeError::Contents { path: to.clone(), source })?;
    tree.write(to, &mut spool, attrs)
}
