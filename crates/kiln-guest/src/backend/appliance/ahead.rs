// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the appliance was asked once and need not be asked again: a walk through the tree asks for
//! each place of a directory, one after the other, and one question takes a millisecond and more.
//!
//! **Invariant:** a change of the tree forgets it all: one file may be known by many paths.

use std::collections::HashMap;

use crate::tree::{GuestPath, Stat, Xattrs};

/// The most names that are remembered.
const MOST_NAMES: usize = 200_000;

/// A directory's names in their order, with what is there.
pub(super) type Names = Vec<(Vec<u8>, Stat)>;

/// What is known of the tree.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    dirs: HashMap<GuestPath, Dir>,
    names: usize,
}

/// A directory that was read.
#[derive(Debug)]
struct Dir {
    names: Names,
    /// Extended attributes by the place of the name.
    xattrs: HashMap<usize, Xattrs>,
}

impl Ahead {
    /// Forgets it all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Remembers what is in a directory: names in their order.
    pub(super) fn put(&mut self, dir: GuestPath, names: Names) {
        if self.names + names.len() > MOST_NAMES {
            self.clear();
        }
        self.names += names.len();
        self.dirs.insert(dir, Dir { names, xattrs: HashMap::new() });
    }

    /// Returns what is in a directory, if it was read.
    pub(super) fn names(&self, dir: &GuestPath) -> Option<&[(Vec<u8>, Stat)]> {
        self.dirs.get(dir).map(|dir| dir.names.as_slice())
    }

    /// Returns what is at a path, if its directory was read and has the name.
    pub(super) fn stat(&self, path: &GuestPath) -> Option<Stat> {
        let (dir, at) = self.find(path)?;
        Some(dir.names[at].1)
    }

    /// Returns the attributes of what is at a path, if they are known.
    pub(super) fn xattrs(&self, path: &GuestPath) -> Option<&Xattrs> {
        let (dir, at) = self.find(path)?;
        dir.xattrs.get(&at)
    }

    /// Returns a path's name and those after it in its directory whose attributes are not known,
    /// at most `most`; none if its directory was not read.
    pub(super) fn wanted(&self, path: &GuestPath, most: usize) -> Vec<Vec<u8>> {
        let Some((dir, at)) = self.find(path) else { return Vec::new() };
        let unknown = (at..dir.names.len()).filter(|at| !dir.xattrs.contains_key(at));
        unknown.take(most).map(|at| dir.names[at].0.clone()).collect()
    }

    /// Remembers the attributes of a name in a directory that was read.
    pub(super) fn put_xattrs(&mut self, dir: &GuestPath, name: &[u8], xattrs: Xattrs) {
        if let Some(dir) = self.dirs.get_mut(dir)
            && let Ok(at) = dir.names.binary_search_by(|(n, _)| n.as_slice().cmp(name))
        {
            dir.xattrs.insert(at, xattrs);
        }
    }

    fn find(&self, path: &GuestPath) -> Option<(&Dir, usize)> {
        let (parent, name) = (path.parent()?, path.name()?);
        let dir = self.dirs.get(&parent)?;
        let at = dir.names.binary_search_by(|(n, _)| n.as_slice().cmp(name)).ok()?;
        Some((dir, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Attrs, Kind, Time};

    #[test]
    fn what_was_read_is_known_until_it_is_forgotten() {
        let time = Time { seconds: 0, nanos: 0 };
        let attrs = Attrs { mode: 0o644, uid: 0, gid: 0, mtime: time };
        let stat = |node| Stat {
            kind: Kind::File,
            attrs,
            size: 0,
            links: 1,
            device: (0, 0),
            identity: (0, node),
        };
        let mut ahead = Ahead::default();
        let names = (0..4_u8).map(|n| (vec![b'a' + n], stat(u64::from(n)))).collect();
        ahead.put("/d".into(), names);
        assert_eq!(ahead.stat(&"/d/b".into()).unwrap().identity, (0, 1));
        assert!(ahead.stat(&"/d/x".into()).is_none() && ahead.stat(&"/e/a".into()).is_none());
        ahead.put_xattrs(&"/d".into(), b"c", vec![("user.x".to_owned(), vec![1])]);
        assert_eq!(ahead.wanted(&"/d/b".into(), 9), [b"b", b"d"]);
        assert_eq!(ahead.wanted(&"/d/a".into(), 1), [b"a"]);
        assert_eq!(ahead.xattrs(&"/d/c".into()).unwrap().len(), 1);
        ahead.clear();
        assert!(ahead.names(&"/d".into()).is_none());
    }
}
