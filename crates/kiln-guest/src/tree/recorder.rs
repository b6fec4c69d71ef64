// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A tree that notes what is changed in it: for dry runs, reports and labels.

use std::io::{self, Read, Write};
use std::ops::Range;

use kiln_host::read::Holes;

use super::walk::real_path;
use super::{Attrs, Change, Entry, GuestPath, Kind, New, Stat, Tree, TreeError, Usage, Xattrs};

/// The most edits that are noted; those after that are only counted.
const MOST_EDITS: usize = 1 << 20;

/// One change of a guest's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What was changed: for contents, owner and permissions the place behind links.
    pub path: GuestPath,
    /// How.
    pub how: How,
}

/// How a place of a guest's tree was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is new.
    Made {
        /// What sort of thing.
        kind: Kind,
        /// Bytes of contents, or of a link's target.
        size: u64,
    },
    /// It is gone.
    Removed {
        /// What sort of thing it was.
        kind: Kind,
        /// Bytes that it had.
        size: u64,
    },
    /// A file has other contents.
    Written {
        /// Bytes before.
        old: u64,
        /// Bytes now: 0 if it was emptied.
        new: u64,
    },
    /// It has another name.
    Moved {
        /// The new one.
        to: GuestPath,
    },
    /// A file has one name more: this one.
    Linked {
        /// The other name.
        file: GuestPath,
    },
    /// Owner, permissions or time are others.
    Changed {
        /// What they were.
        old: Attrs,
        /// What was changed.
        change: Change,
    },
    /// Extended attributes are others.
    Xattrs,
}

/// A tree that hands everything on to another, and notes the changes that it took.
pub struct Recorder<'a> {
    tree: &'a mut dyn Tree,
    edits: Vec<Edit>,
    left_out: u64,
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("edits", &self.edits.len()).finish_non_exhaustive()
    }
}

/// What a [`Recorder`] has noted since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The changes, in order.
    pub list: Vec<Edit>,
    /// How many more there were than can be held.
    pub left_out: u64,
}

impl<'a> Recorder<'a> {
    /// Begins to note changes of `tree`.
    pub fn new(tree: &'a mut dyn Tree) -> Self {
        Self { tree, edits: Vec::new(), left_out: 0 }
    }

    /// Takes what was noted since the last call.
    pub fn take(&mut self) -> Edits {
        let list = std::mem::take(&mut self.edits);
        Edits { list, left_out: std::mem::take(&mut self.left_out) }
    }

    fn note_written(
        &mut self,
        path: &GuestPath,
        old: Option<Stat>,
        new: u64,
    ) -> Result<(), TreeError> {
        let how = match old {
            Some(old) => How::Written { old: old.size, new },
            None => How::Made { kind: Kind::File, size: new },
        };
        let real = real_path(self.tree, path, true)?;
        self.note(real, how);
        Ok(())
    }

    fn note(&mut self, path: GuestPath, how: How) {
        if self.edits.len() < MOST_EDITS {
            self.edits.push(Edit { path, how });
        } else {
            self.left_out += 1;
        }
    }
}

/// Counts what is read.
struct Counted<'a, R: ?Sized> {
    inner: &'a mut R,
    bytes: u64,
}

impl<R: Read + ?Sized> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buf)?;
        self.bytes += got as u64;
        Ok(got)
    }
}

impl Holes for Counted<'_, dyn Holes + '_> {
    fn skip_hole(&mut self, unit: u64) -> u64 {
        let skipped = self.inner.skip_hole(unit);
        self.bytes += skipped;
        skipped
    }

    fn before_hole(&mut self) -> Option<u64> {
        self.inner.before_hole()
    }
}

impl Tree for Recorder<'_> {
    fn stat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.tree.stat(path)
    }

    fn lstat(&mut self, path: &GuestPath) -> Result<Option<Stat>, TreeError> {
        self.tree.lstat(path)
    }

    fn list(&mut self, dir: &GuestPath) -> Result<Vec<Entry>, TreeError> {
        self.tree.list(dir)
    }

    fn read_link(&mut self, path: &GuestPath) -> Result<Vec<u8>, TreeError> {
        self.tree.read_link(path)
    }

    fn copy_out(&mut self, path: &GuestPath, out: &mut dyn Write) -> Result<u64, TreeError> {
        self.tree.copy_out(path, out)
    }

    fn data(&mut self, path: &GuestPath) -> Result<Option<Vec<Range<u64>>>, TreeError> {
        self.tree.data(path)
    }

    fn write(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Read,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let old = self.tree.stat(path)?;
        let mut counted = Counted { inner: contents, bytes: 0 };
        self.tree.write(path, &mut counted, attrs)?;
        let new = counted.bytes;
        self.note_written(path, old, new)
    }

    fn write_with_holes(
        &mut self,
        path: &GuestPath,
        contents: &mut dyn Holes,
        attrs: &Attrs,
    ) -> Result<(), TreeError> {
        let old = self.tree.stat(path)?;
        let mut counted = Counted { inner: contents, bytes: 0 };
        self.tree.write_with_holes(path, &mut counted, attrs)?;
        let new = counted.bytes;
        self.note_written(path, old, new)
    }

    fn make(&mut self, path: &GuestPath, new: &New, attrs: &Attrs) -> Result<(), TreeError> {
        self.tree.make(path, new, attrs)?;
        let (kind, size) = match new {
            New::Directory => (Kind::Directory, 0),
            New::Symlink(target) => (Kind::Symlink, target.len() as u64),
            New::Char(..) => (Kind::Char, 0),
            New::Block(..) => (Kind::Block, 0),
            New::Fifo => (Kind::Fifo, 0),
            New::Socket => (Kind::Socket, 0),
        };
        let real = real_path(self.tree, path, false)?;
        self.note(real, How::Made { kind, size });
        Ok(())
    }

    fn hard_link(&mut self, file: &GuestPath, name: &GuestPath) -> Result<(), TreeError> {
        self.tree.hard_link(file, name)?;
        self.note(name.clone(), How::Linked { file: file.clone() });
        Ok(())
    }

    fn rename(&mut self, from: &GuestPath, to: &GuestPath) -> Result<(), TreeError> {
        self.tree.rename(from, to)?;
        self.note(from.clone(), How::Moved { to: to.clone() });
        Ok(())
    }

    fn unlink(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        let old = self.tree.lstat(path)?;
        self.tree.unlink(path)?;
        if let Some(old) = old {
            self.note(path.clone(), How::Removed { kind: old.kind, size: old.size });
        }
        Ok(())
    }

    fn rmdir(&mut self, path: &GuestPath) -> Result<(), TreeError> {
        self.tree.rmdir(path)?;
        self.note(path.clone(), How::Removed { kind: Kind::Directory, size: 0 });
        Ok(())
    }

    fn change(&mut self, path: &GuestPath, change: &Change, follow: bool) -> Result<(), TreeError> {
        let old = if follow { self.tree.stat(path)? } else { self.tree.lstat(path)? };
        self.tree.change(path, change, follow)?;
        if let Some(old) = old {
            let real = real_path(self.tree, path, follow)?;
            self.note(real, How::Changed { old: old.attrs, change: *change });
        }
        Ok(())
    }

    fn xattrs(&mut self, path: &GuestPath) -> Result<Xattrs, TreeError> {
        self.tree.xattrs(path)
    }

    fn set_xattrs(&mut self, path: &GuestPath, xattrs: &Xattrs) -> Result<(), TreeError> {
        self.tree.set_xattrs(path, xattrs)?;
        self.note(path.clone(), How::Xattrs);
        Ok(())
    }

    fn usage(&mut self) -> Result<Vec<Usage>, TreeError> {
        self.tree.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryTree;
    use super::super::walk::remove_all;
    use super::*;

    fn edit(path: &'static str, how: How) -> Edit {
        Edit { path: path.into(), how }
    }

    #[test]
    fn changes_are_noted_and_handed_on() {
        let mut tree = MemoryTree::of(&["/etc/a=12345", "/l -> /etc/a", "/d/x/y=1"]);
        let mut recorder = Recorder::new(&mut tree);
        let attrs = Attrs { mode: 0o600, ..Attrs::default() };
        recorder.write(&"/l".into(), &mut &b""[..], &attrs).unwrap();
        recorder.write(&"/new".into(), &mut &b"abc"[..], &attrs).unwrap();
        recorder.make(&"/s".into(), &New::Symlink(b"t".to_vec()), &attrs).unwrap();
        remove_all(&mut recorder, &"/d".into()).unwrap();
        assert!(recorder.unlink(&"/gone".into()).is_err());
        let change = Change { mode: Some(0o640), ..Change::default() };
        recorder.change(&"/new".into(), &change, true).unwrap();
        assert_eq!(
            recorder.take().list,
            [
                edit("/etc/a", How::Written { old: 5, new: 0 }),
                edit("/new", How::Made { kind: Kind::File, size: 3 }),
                edit("/s", How::Made { kind: Kind::Symlink, size: 1 }),
                edit("/d/x/y", How::Removed { kind: Kind::File, size: 1 }),
                edit("/d/x", How::Removed { kind: Kind::Directory, size: 0 }),
                edit("/d", How::Removed { kind: Kind::Directory, size: 0 }),
                edit("/new", How::Changed { old: attrs, change }),
            ]
        );
        assert_eq!(recorder.take(), Edits::default());
        assert_eq!(tree.paths(), ["/etc/", "/etc/a", "/l -> /etc/a", "/new", "/s -> t"]);
    }
}
