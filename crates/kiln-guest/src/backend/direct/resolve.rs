// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a path to a node, across links and mounts, never out of the guest.
//!
//! **Invariant:** every step is one name in a directory of the guest. `..` goes back along the
//! steps that were taken, and stays at the root; an absolute link begins again at the root.

use super::volume::{Node, Place};
use super::{DirectTree, failed};
use crate::tree::{GuestPath, Kind, TreeError};

/// How many symbolic links a path may lead through: `MAXSYMLINKS` of Linux.
const MOST_SYMLINKS: usize = 40;

/// A node of one of the mounted file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) mount: usize,
    pub(super) node: Node,
}

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Reached {
    /// The directories on the way, from the root on, and at the end what is there.
    pub(super) steps: Vec<At>,
    /// The last name that was looked for.
    pub(super) name: Vec<u8>,
    /// Whether it is there. If not, the last step is the directory that lacks it.
    pub(super) there: bool,
}

/// A name in a directory, there or not.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) dir: At,
    pub(super) name: Vec<u8>,
    /// The directory and those above it.
    pub(super) above: Vec<At>,
}

impl Spot {
    pub(super) fn place(&self) -> Place<'_> {
        Place { dir: self.dir.node, name: &self.name }
    }
}

impl DirectTree {
    /// Follows `path`. `None` if a name before the last is not there.
    pub(super) fn reach(
        &mut self,
        path: &GuestPath,
        last: Last,
    ) -> Result<Option<Reached>, TreeError> {
        let mut steps = vec![self.root()];
        let mut todo: Vec<Vec<u8>> = path.names().rev().map(<[u8]>::to_vec).collect();
        let (mut links, mut last_name) = (0, Vec::new());
        while let Some(name) = todo.pop() {
            let dir = *steps.last().expect("the root is never taken off");
            if self.kind(dir, path)? != Kind::Directory {
                return Err(TreeError::NotADirectory { path: path.clone() });
            }
            if name == b".." {
                steps.truncate(steps.len().max(2) - 1);
                continue;
            }
            let place = Place { dir: dir.node, name: &name };
            let child = self.mounts[dir.mount].volume.child(place);
            let Some(node) = child.map_err(|e| failed("read", path, e))? else {
                let reached = Reached { steps, name, there: false };
                return Ok(todo.is_empty().then_some(reached));
            };
            let next = self.cross(At { mount: dir.mount, node });
            let stays = todo.is_empty() && last == Last::Keep;
            if stays || self.kind(next, path)? != Kind::Symlink {
                steps.push(next);
                last_name = name;
                continue;
            }
            links += 1;
            if links > MOST_SYMLINKS {
                return Err(TreeError::Loop { path: path.clone() });
            }
            let target = self.mounts[next.mount].volume.read_link(next.node);
            let target = target.map_err(|e| failed("read", path, e))?;
            if target.starts_with(b"/") {
                steps.truncate(1);
            }
            let names = target.split(|&b| b == b'/').filter(|n| !n.is_empty() && *n != b".");
            let from = todo.len();
            todo.extend(names.map(<[u8]>::to_vec));
            todo[from..].reverse();
        }
        Ok(Some(Reached { steps, name: last_name, there: true }))
    }

    /// Returns the node that `path` leads to, if there is one.
    pub(super) fn find(&mut self, path: &GuestPath, last: Last) -> Result<Option<At>, TreeError> {
        let reached = self.reach(path, last)?;
        let there = reached.filter(|reached| reached.there);
        Ok(there.and_then(|reached| reached.steps.last().copied()))
    }

    /// Returns the node that `path` leads to.
    pub(super) fn need(&mut self, path: &GuestPath, last: Last) -> Result<At, TreeError> {
        self.find(path, last)?.ok_or_else(|| TreeError::NotFound { path: path.clone() })
    }

    /// Returns the directory and the name that `path` ends in, whether the name is there or not.
    /// `None` if it ends in no name: the root, or `..`.
    pub(super) fn spot(&mut self, path: &GuestPath) -> Result<Option<Spot>, TreeError> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(None) };
        if name == b".." {
            self.need(path, Last::Keep)?;
            return Ok(None);
        }
        let missing = || TreeError::NotFound { path: path.clone() };
        let reached = self.reach(&parent, Last::Follow)?;
        let above = reached.filter(|r| r.there).ok_or_else(missing)?.steps;
        let dir = *above.last().expect("the root is never taken off");
        if self.kind(dir, path)? != Kind::Directory {
            return Err(TreeError::NotADirectory { path: parent });
        }
        Ok(Some(Spot { dir, name: name.to_vec(), above }))
    }

    /// Returns what has the name at `spot`, itself, even if something is mounted there.
    pub(super) fn at_spot(
        &mut self,
        spot: &Spot,
        path: &GuestPath,
    ) -> Result<Option<At>, TreeError> {
        let mount = spot.dir.mount;
        let child = self.mounts[mount].volume.child(spot.place());
        Ok(child.map_err(|e| failed("read", path, e))?.map(|node| At { mount, node }))
    }

    pub(super) fn root(&self) -> At {
        self.cross(At { mount: 0, node: self.mounts[0].volume.root() })
    }

    /// Returns the root of what is mounted on `at`, or `at`.
    pub(super) fn cross(&self, mut at: At) -> At {
        // A later mount may lie on the root of an earlier one, never the other way round.
        for (index, mount) in self.mounts.iter().enumerate() {
            if mount.on == Some(at) {
                at = At { mount: index, node: mount.volume.root() };
            }
        }
        at
    }

    /// Returns whether something is mounted on `at`.
    pub(super) fn is_covered(&self, at: At) -> bool {
        self.mounts.iter().any(|mount| mount.on == Some(at))
    }

    pub(super) fn kind(&mut self, at: At, path: &GuestPath) -> Result<Kind, TreeError> {
        let stat = self.mounts[at.mount].volume.stat(at.node);
        Ok(stat.map_err(|e| failed("read", path, e))?.kind)
    }
}
