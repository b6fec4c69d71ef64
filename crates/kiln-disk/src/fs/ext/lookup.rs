// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From paths to nodes.

use super::path::names;
use super::{ExtError, ExtFs, Kind, Node};

/// How many symbolic links a path may lead through: `MAXSYMLINKS` of Linux.
const MOST_SYMLINKS: usize = 40;

impl ExtFs {
    /// Returns the node of the name in the directory, if there is one.
    ///
    /// # Errors
    ///
    /// [`ExtError::WrongKind`] if `dir` is no directory.
    pub fn child(&mut self, dir: Node, name: &[u8]) -> Result<Option<Node>, ExtError> {
        Ok(self.dir(dir.0)?.entries.get(name).map(|entry| Node(entry.inode)))
    }

    /// Returns the node at `path`, without following any symbolic link.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotADirectory`] if a name before the last is something else, a symbolic link
    /// for one.
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Node>, ExtError> {
        let mut at = Node::ROOT;
        for name in names(path) {
            if self.kind(at)? != Kind::Directory {
                return Err(ExtError::NotADirectory { path: path.to_vec() });
            }
            let Some(next) = self.child(at, name)? else { return Ok(None) };
            at = next;
        }
        Ok(Some(at))
    }

    /// Returns the node at `path`, following symbolic links as a process would whose root is the
    /// root of this file system: never out of it.
    ///
    /// # Errors
    ///
    /// [`ExtError::NotADirectory`] and [`ExtError::Loop`].
    pub fn resolve(&mut self, path: &[u8]) -> Result<Option<Node>, ExtError> {
        let mut above = vec![Node::ROOT];
        let mut todo: Vec<Vec<u8>> = names(path).map(<[u8]>::to_vec).collect();
        todo.reverse();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let dir = above.last().copied().unwrap_or(Node::ROOT);
            if name == b".." {
                above.truncate(above.len().max(2) - 1);
                continue;
            }
            if self.kind(dir)? != Kind::Directory {
                return Err(ExtError::NotADirectory { path: path.to_vec() });
            }
            let Some(next) = self.child(dir, &name)? else { return Ok(None) };
            if self.kind(next)? != Kind::Symlink {
                above.push(next);
                continue;
            }
            links += 1;
            if links > MOST_SYMLINKS {
                return Err(ExtError::Loop { path: path.to_vec() });
            }
            let target = self.read_link(next)?;
            if target.starts_with(b"/") {
                above.truncate(1);
            }
            let from = todo.len();
            todo.extend(names(&target).map(<[u8]>::to_vec));
            todo[from..].reverse();
        }
        Ok(above.last().copied())
    }
}
