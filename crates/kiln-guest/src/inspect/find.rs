// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Looking into a tree that may lack anything, or be damaged anywhere.
//!
//! **Invariant:** what cannot be read is noted once and taken for absent.

use std::io::{self, Write};

use crate::tree::{GuestPath, Kind, MOST_TEXT, Tree, TreeError};

/// The most notes that are kept.
const MOST_NOTES: usize = 100;
/// The most names of one directory that are looked at.
const MOST_NAMES: usize = 100_000;

/// A tree that is looked into.
pub(super) struct Finder<'a> {
    pub(super) tree: &'a mut dyn Tree,
    pub(super) notes: Vec<String>,
}

impl Finder<'_> {
    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }

    /// Notes an error, but not that something is not there.
    fn got<T>(&mut self, result: Result<T, TreeError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(
                TreeError::NotFound { .. }
                | TreeError::NotADirectory { .. }
                | TreeError::NotAFile { .. }
                | TreeError::NotALink { .. }
                | TreeError::Loop { .. },
            ) => None,
            Err(error) => {
                let source = std::error::Error::source(&error).map(|s| format!(": {s}"));
                self.note(format!("{error}{}", source.unwrap_or_default()));
                None
            }
        }
    }

    pub(super) fn kind(&mut self, path: &str) -> Option<Kind> {
        let path = GuestPath::new(path).ok()?;
        let stat = self.tree.stat(&path);
        Some(self.got(stat)??.kind)
    }

    pub(super) fn is_file(&mut self, path: &str) -> bool {
        self.kind(path) == Some(Kind::File)
    }

    pub(super) fn is_dir(&mut self, path: &str) -> bool {
        self.kind(path) == Some(Kind::Directory)
    }

    /// Returns a file of at most `most` bytes.
    pub(super) fn bytes(&mut self, path: &str, most: u64) -> Option<Vec<u8>> {
        if !self.is_file(path) {
            return None;
        }
        let read = self.tree.read(&GuestPath::new(path).ok()?, most);
        self.got(read)
    }

    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let bytes = self.bytes(path, MOST_TEXT)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the first bytes of a file, as many as there are.
    pub(super) fn head(&mut self, path: &str, len: usize) -> Option<Vec<u8>> {
        if !self.is_file(path) {
            return None;
        }
        let mut head = Head { bytes: Vec::new(), len };
        let copied = self.tree.copy_out(&GuestPath::new(path).ok()?, &mut head);
        match copied {
            Ok(_) | Err(TreeError::Output { .. }) => Some(head.bytes),
            Err(error) => self.got::<()>(Err(error)).map(|()| head.bytes),
        }
    }

    /// Returns the target of a link, as text.
    pub(super) fn link(&mut self, path: &str) -> Option<String> {
        let target = self.tree.read_link(&GuestPath::new(path).ok()?);
        let target = self.got(target)?;
        Some(String::from_utf8_lossy(&target).into_owned())
    }

    /// Returns the names in a directory that are text, sorted; none if there is none.
    pub(super) fn names(&mut self, path: &str) -> Vec<String> {
        let Ok(dir) = GuestPath::new(path) else { return Vec::new() };
        let listed = self.tree.list(&dir);
        let entries = self.got(listed).unwrap_or_default();
        let names = entries.into_iter().take(MOST_NAMES).map(|entry| entry.name);
        names.filter_map(|name| String::from_utf8(name).ok()).collect()
    }
}

/// Takes the first bytes of what is written to it, and then no more.
struct Head {
    bytes: Vec<u8>,
    len: usize,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.len().min(self.len - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..part]);
        if part < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(part) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
