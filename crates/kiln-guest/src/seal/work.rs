// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What operations are given, and the steps that many of them share.

use super::{Options, System};
use crate::tree::walk::{self, present};
use crate::tree::{Attrs, GuestPath, Kind, Recorder, Stat, Time, Tree, TreeError};

/// The most that is read of a file that is edited.
const MOST_TEXT: u64 = 16 << 20;

/// Directories of the system: what is in them is only removed by operations that name them.
pub(super) const SYSTEM: [&str; 11] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];
/// Directories right below the root that links may lead to: `/var/run` is one.
const OPEN: [&str; 2] = ["/run", "/tmp"];

/// What an operation works on.
pub(super) struct Work<'t, 'a> {
    /// The guest's files; what is changed is noted.
    pub(super) tree: &'t mut Recorder<'a>,
    /// The time that is noted for changes.
    pub(super) now: Time,
    pub(super) system: &'t System,
    pub(super) options: &'t Options,
    /// What the user should know.
    pub(super) notes: Vec<String>,
    /// Trusted certificates were removed.
    pub(super) ca_store: bool,
}

impl Work<'_, '_> {
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Returns what is at a path, links not followed at its end; `None` if it cannot be reached.
    pub(super) fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        Ok(present(self.tree.lstat(path))?.flatten())
    }

    /// Returns whether there is something at a path, behind links.
    pub(super) fn exists(&mut self, path: &'static str) -> Result<bool, TreeError> {
        Ok(present(self.tree.stat(&path.into()))?.flatten().is_some())
    }

    /// Returns whether there is a regular file itself at a path, no link to one.
    pub(super) fn is_file(&mut self, path: &GuestPath) -> Result<bool, TreeError> {
        Ok(self.lstat(path)?.is_some_and(|stat| stat.kind == Kind::File))
    }

    /// Returns what a pattern names, by its real places: links on the way are followed, but not
    /// into directories of the system or such that hold them. A link at the end stays.
    pub(super) fn places(&mut self, pattern: &str) -> Result<Vec<GuestPath>, TreeError> {
        let mut places = Vec::new();
        let mut last = None;
        for path in walk::glob(self.tree, pattern)? {
            let Some(folder) = path.parent() else { continue };
            let Ok(real) = walk::real_path(self.tree, &folder, true) else { continue };
            if !is_astray(&folder, &real) {
                places.push(real.join(path.name().unwrap_or_default()));
            } else if last.as_ref() != Some(&folder) {
                self.note(format!("`{folder}` leads to `{real}`, where nothing is touched"));
                last = Some(folder);
            }
        }
        Ok(places)
    }

    /// Removes what patterns name, but no directories; returns whether there was something.
    pub(super) fn remove_files(&mut self, patterns: &[&str]) -> Result<bool, TreeError> {
        self.remove_files_but(patterns, &[])
    }

    /// The same, but for some paths.
    pub(super) fn remove_files_but(
        &mut self,
        patterns: &[&str],
        kept: &[&str],
    ) -> Result<bool, TreeError> {
        let mut removed = false;
        for pattern in patterns {
            for path in self.places(pattern)? {
                removed |= !kept.iter().any(|kept| kept.as_bytes() == path.as_bytes())
                    && self.remove_file(&path)?;
            }
        }
        Ok(removed)
    }

    /// Removes anything but a directory; returns whether there was something.
    pub(super) fn remove_file(&mut self, path: &GuestPath) -> Result<bool, TreeError> {
        match self.lstat(path)? {
            Some(stat) if stat.kind != Kind::Directory => {
                self.tree.unlink(path)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Removes what patterns name, with all that is below.
    pub(super) fn remove_trees(&mut self, patterns: &[&str]) -> Result<(), TreeError> {
        for pattern in patterns {
            for path in self.places(pattern)? {
                walk::remove_all(self.tree, &path)?;
            }
        }
        Ok(())
    }

    /// Removes regular files at any depth below the directories that a pattern names, but those
    /// of the name `kept`.
    pub(super) fn remove_files_below(
        &mut self,
        pattern: &str,
        kept: &[u8],
    ) -> Result<(), TreeError> {
        for top in self.places(pattern)? {
            let mut wanted = |path: &GuestPath, kind: Kind| {
                kind == Kind::File && path.name().is_some_and(|name| name != kept)
            };
            if self.lstat(&top)?.is_some_and(|stat| stat.kind == Kind::Directory) {
                for file in walk::find(self.tree, &top, &mut wanted)? {
                    self.tree.unlink(&file)?;
                }
            }
        }
        Ok(())
    }

    /// Returns a regular file's contents, behind links; `None` if there is none or it is too
    /// large for a file of its sort.
    pub(super) fn text(&mut self, path: &GuestPath) -> Result<Option<Vec<u8>>, TreeError> {
        match present(self.tree.stat(path))?.flatten() {
            Some(stat) if stat.kind == Kind::File && stat.size <= MOST_TEXT => {
                self.tree.read(path, MOST_TEXT).map(Some)
            }
            Some(stat) if stat.kind == Kind::File => {
                self.note(format!("`{path}` is too large to be edited, and was left"));
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Puts contents into a file, which keeps owner and permissions; a new one gets `mode`.
    pub(super) fn write(
        &mut self,
        path: &GuestPath,
        contents: &[u8],
        mode: u32,
    ) -> Result<(), TreeError> {
        let attrs = Attrs { mode, uid: 0, gid: 0, mtime: self.now };
        self.tree.write(path, &mut &*contents, &attrs)
    }

    /// Empties a regular file that is not empty; a link is left.
    pub(super) fn empty(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        match self.lstat(path)? {
            Some(stat) if stat.kind == Kind::File && stat.size > 0 => self.write(path, b"", 0o644),
            _ => Ok(()),
        }
    }

    /// Drops the lines of the files that patterns name, which `unwanted` takes; a file without
    /// any is not touched. Lines are handed over without their ends. Returns whether there were.
    pub(super) fn drop_lines(
        &mut self,
        patterns: &[&str],
        unwanted: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, TreeError> {
        let mut dropped = false;
        for pattern in patterns {
            for path in self.places(pattern)? {
                let Some(text) = self.text(&path)? else { continue };
                let kept = lines(&text).filter(|line| !unwanted(line.trim_ascii_end()));
                let kept: Vec<u8> = kept.flatten().copied().collect();
                if kept.len() != text.len() {
                    dropped = true;
                    self.write(&path, &kept, 0o644)?;
                }
            }
        }
        Ok(dropped)
    }

    /// Drops the lines that begin with one of `keys`, as [`Work::drop_lines`].
    pub(super) fn drop_lines_with(
        &mut self,
        patterns: &[&str],
        keys: &[&[u8]],
    ) -> Result<(), TreeError> {
        let mut unwanted = |line: &[u8]| keys.iter().any(|key| line.starts_with(key));
        self.drop_lines(patterns, &mut unwanted).map(drop)
    }
}

/// Returns whether a link on the way leads an operation to where it must not remove anything:
/// `real` is where `folder` leads.
fn is_astray(folder: &GuestPath, real: &GuestPath) -> bool {
    if folder == real {
        return false;
    }
    let same_top = folder.names().next() == real.names().next();
    let shallow = real.names().count() < 2 && !OPEN.iter().any(|&open| *real == open.into());
    let mut system = SYSTEM.into_iter().filter(|top| !OPEN.contains(top));
    let of_system = system.any(|top| real.is_within(&top.into()));
    shallow || folder.is_within(real) || !same_top && of_system
}

/// Returns a text's lines with their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&b| b == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_may_lead_to_other_places_but_not_into_the_system() {
        for (folder, real, astray) in [
            ("/var/run", "/run", false),
            ("/var/run/console", "/run/console", false),
            ("/var/tmp", "/tmp", false),
            ("/var/mail", "/var/spool/mail", false),
            ("/home/ann", "/srv/home/ann", false),
            ("/etc/ssh", "/etc/mine/ssh", false),
            ("/etc/ssh", "/etc/ssh", false),
            ("/var/crash", "/", true),
            ("/var/crash", "/var", true),
            ("/var/crash", "/home", true),
            ("/var/crash", "/etc/ssh", true),
            ("/var/crash", "/usr/bin", true),
            ("/var/spool/abrt", "/var/spool", true),
        ] {
            let path = |text: &str| GuestPath::new(text).unwrap();
            assert_eq!(is_astray(&path(folder), &path(real)), astray, "{folder} {real}");
        }
    }
}
