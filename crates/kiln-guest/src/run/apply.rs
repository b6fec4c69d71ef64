// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Puts what a program changed into the guest's tree.
//!
//! **Invariant:** a change is made at exactly its path. The directories on the way were made
//! real ones before, so that no link of the guest leads it elsewhere.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use kiln_host::namespace::{Change as Made, ChangeKind};
use kiln_host::read::Holes;

use super::files::{Shown, is_seen};
use crate::tree::{Attrs, Change, GuestPath, Kind, New, Stat, Time, Tree, TreeError, Xattrs};

/// Puts changes into a tree.
pub(super) struct Apply<'a> {
    tree: &'a mut dyn Tree,
    shown: &'a BTreeMap<GuestPath, Shown>,
    /// Where file systems without owners and permissions are mounted.
    plain: Vec<GuestPath>,
    /// Bytes of the largest file system: no file can be larger.
    most: u64,
    /// Directories and their times, which their contents' changes would change again.
    times: Vec<(GuestPath, Time)>,
}

impl std::fmt::Debug for Apply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apply").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl<'a> Apply<'a> {
    pub(super) fn new(
        tree: &'a mut dyn Tree,
        shown: &'a BTreeMap<GuestPath, Shown>,
    ) -> Result<Self, TreeError> {
        let usage = tree.usage()?;
        let most = usage.iter().map(|fs| fs.size.0).max().unwrap_or(u64::MAX);
        let plain = usage.into_iter().filter(|fs| fs.fs == "vfat").map(|fs| fs.mounted_on);
        Ok(Self { plain: plain.collect(), most, times: Vec::new(), tree, shown })
    }

    /// Puts one change into the tree. A directory comes before what is in it.
    pub(super) fn change(
        &mut self,
        made: &Made,
        contents: &mut dyn Holes,
    ) -> Result<(), TreeError> {
        let path = GuestPath::new(&made.path)?;
        let attrs = Attrs {
            mode: made.mode,
            uid: made.uid,
            gid: made.gid,
            mtime: Time { seconds: made.mtime.0, nanos: made.mtime.1 },
        };
        let there = self.tree.lstat(&path)?;
        match &made.kind {
            ChangeKind::Gone => return self.remove(&path, there.as_ref()),
            ChangeKind::Directory { emptied } => {
                if self.shown.get(&path) == Some(&Shown::Directory) {
                    return Ok(());
                }
                self.directory(&path, there.as_ref(), *emptied, &attrs)?;
            }
            ChangeKind::File { size, kept } => {
                if !self.file(&path, there.as_ref(), (*size, *kept, &attrs), contents)? {
                    return Ok(());
                }
            }
            ChangeKind::Link { to } => {
                return self.link(&GuestPath::new(to)?, &path, there.as_ref());
            }
            ChangeKind::Symlink { target } => {
                let same = there.is_some_and(|s| s.kind == Kind::Symlink)
                    && self.tree.read_link(&path)? == *target;
                if !same {
                    self.remove(&path, there.as_ref())?;
                    self.tree.make(&path, &New::Symlink(target.clone()), &attrs)?;
                }
            }
            ChangeKind::Fifo => self.special(&path, there.as_ref(), Kind::Fifo, &attrs)?,
            ChangeKind::Socket => self.special(&path, there.as_ref(), Kind::Socket, &attrs)?,
        }
        self.attributes(&path, &attrs, &made.xattrs)
    }

    /// Sets what can only be set when all is there.
    pub(super) fn finish(mut self) -> Result<(), TreeError> {
        for (path, mtime) in std::mem::take(&mut self.times).into_iter().rev() {
            let change = Change { mtime: Some(mtime), ..Change::default() };
            self.tree.change(&path, &change, false)?;
        }
        Ok(())
    }

    fn directory(
        &mut self,
        path: &GuestPath,
        there: Option<&Stat>,
        emptied: bool,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        if there.is_some_and(|s| s.kind == Kind::Directory) {
            if emptied {
                self.empty(path)?;
            }
        } else {
            self.remove(path, there)?;
            self.tree.make(path, &New::Directory, attrs)?;
        }
        if !self.is_plain(path) {
            self.times.push((path.clone(), attrs.mtime));
        }
        Ok(())
    }

    /// Writes a file; returns false if it is one that only the run saw, and unchanged.
    fn file(
        &mut self,
        path: &GuestPath,
        there: Option<&Stat>,
        (size, kept, attrs): (u64, bool, &Attrs),
        contents: &mut dyn Holes,
    ) -> Result<bool, TreeError> {
        let failed = |source| TreeError::Contents { path: path.clone(), source };
        let mut head = Vec::new();
        if let Some(Shown::File(bytes, _)) = self.shown.get(path) {
            let most = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(1);
            Read::take(&mut *contents, most).read_to_end(&mut head).map_err(failed)?;
            if kept && head == *bytes {
                return Ok(false);
            }
        }
        if size > self.most {
            return Err(TreeError::NoSpace { path: path.clone() });
        }
        // With one name alone the file that is there can as well be written anew.
        let same = |s: &Stat| s.kind == Kind::File && (kept || s.links == 1);
        if !there.is_some_and(same) {
            self.remove(path, there)?;
        }
        if head.is_empty() {
            // A hole that the program left is one, and zeros that it wrote are none.
            self.tree.write_with_holes(path, contents, attrs)?;
        } else {
            self.tree.write(path, &mut head.chain(contents), attrs)?;
        }
        Ok(true)
    }

    fn link(
        &mut self,
        file: &GuestPath,
        name: &GuestPath,
        there: Option<&Stat>,
    ) -> Result<(), TreeError> {
        let Some(stat) = self.tree.lstat(file)? else {
            return Err(TreeError::NotFound { path: file.clone() });
        };
        if there.is_some_and(|there| there.identity == stat.identity) {
            return Ok(());
        }
        self.remove(name, there)?;
        match self.tree.hard_link(file, name) {
            // The program saw one file system where the guest has two.
            Err(TreeError::CrossDevice { .. }) => {
                let failed = |source| TreeError::Contents { path: name.clone(), source };
                let mut copy = tempfile::tempfile().map_err(failed)?;
                self.tree.copy_out(file, &mut copy)?;
                copy.seek(SeekFrom::Start(0)).map_err(failed)?;
                self.tree.write(name, &mut copy, &stat.attrs)?;
                let xattrs = self.tree.xattrs(file)?;
                self.attributes(name, &stat.attrs, &xattrs)
            }
            other => other,
        }
    }

    fn special(
        &mut self,
        path: &GuestPath,
        there: Option<&Stat>,
        kind: Kind,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        if there.is_some_and(|s| s.kind == kind) {
            return Ok(());
        }
        self.remove(path, there)?;
        let new = if kind == Kind::Fifo { New::Fifo } else { New::Socket };
        self.tree.make(path, &new, attrs)
    }

    /// Gives a place the attributes that it has now, where the tree's differ. Those that the
    /// program could not see stay.
    fn attributes(
        &mut self,
        path: &GuestPath,
        attrs: &Attrs,
        xattrs: &[(String, Vec<u8>)],
    ) -> Result<(), TreeError> {
        if self.is_plain(path) {
            return Ok(());
        }
        let Some(stat) = self.tree.lstat(path)? else {
            return Err(TreeError::NotFound { path: path.clone() });
        };
        let link = stat.kind == Kind::Symlink;
        let change = Change {
            uid: Some(attrs.uid).filter(|uid| *uid != stat.attrs.uid),
            gid: Some(attrs.gid).filter(|gid| *gid != stat.attrs.gid),
            mode: Some(attrs.mode).filter(|mode| !link && *mode != stat.attrs.mode),
            mtime: Some(attrs.mtime).filter(|mtime| *mtime != stat.attrs.mtime),
        };
        if change != Change::default() {
            self.tree.change(path, &change, false)?;
        }
        let before = self.tree.xattrs(path)?;
        let hidden = before.iter().filter(|(name, _)| !is_seen(name)).cloned();
        let seen = xattrs.iter().filter(|(name, _)| is_seen(name)).cloned();
        let mut now: Xattrs = hidden.chain(seen).collect();
        now.sort();
        let mut before = before;
        before.sort();
        if now == before { Ok(()) } else { self.tree.set_xattrs(path, &now) }
    }

    fn is_plain(&self, path: &GuestPath) -> bool {
        self.plain.iter().any(|top| path.is_within(top))
    }

    /// Removes what is at a path, directories with all in them.
    fn remove(&mut self, path: &GuestPath, there: Option<&Stat>) -> Result<(), TreeError> {
        match there.map(|stat| stat.kind) {
            None => Ok(()),
            Some(Kind::Directory) => {
                self.empty(path)?;
                self.tree.rmdir(path)
            }
            Some(_) => self.tree.unlink(path),
        }
    }

    /// Removes all that is in a directory.
    fn empty(&mut self, top: &GuestPath) -> Result<(), TreeError> {
        let mut folders = Vec::new();
        let mut todo = vec![top.clone()];
        while let Some(folder) = todo.pop() {
            for entry in self.tree.list(&folder)? {
                let path = folder.join(&entry.name);
                if entry.kind == Kind::Directory {
                    todo.push(path);
                } else {
                    self.tree.unlink(&path)?;
                }
            }
            folders.push(folder);
        }
        // Each comes after the one it is in; the first is the top itself.
        folders.iter().skip(1).rev().try_for_each(|folder| self.tree.rmdir(folder))
    }
}
