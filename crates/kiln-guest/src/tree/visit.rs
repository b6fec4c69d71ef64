// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Walks through a guest's tree that see what is there and may change it.
//!
//! **Invariant:** no symbolic link below the place that a walk begins at is gone through, and no
//! directory twice: a damaged file system may have a directory within itself.

use std::collections::HashSet;

use super::walk::{DEEPEST, remove_all};
use super::{GuestPath, Kind, Stat, Tree, TreeError};

/// One place that a walk comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: GuestPath,
    /// What is there; links themselves.
    pub stat: Stat,
    /// How far below the place that the walk began at.
    pub depth: usize,
}

/// How a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the directory, if it is one.
    In,
    /// Past what is in it.
    Past,
    /// To its end.
    Stop,
}

/// Calls `each` for `top` and all that is below it: a directory before what is in it, names in
/// order of their bytes. Links are shown, not followed; only those on the way to `top` are. What
/// is mounted below is walked through as well.
///
/// # Errors
///
/// [`TreeError::NotFound`] if there is no `top`; what `each` returns; [`TreeError::TooDeep`] if
/// 2048 directories lie in one another, or one is at two places.
pub fn visit(
    tree: &mut dyn Tree,
    top: &GuestPath,
    each: &mut dyn FnMut(&mut dyn Tree, &Found) -> Result<Step, TreeError>,
) -> Result<(), TreeError> {
    let mut todo = vec![(top.clone(), 0)];
    let mut been = HashSet::new();
    while let Some((path, depth)) = todo.pop() {
        let stat = tree.lstat(&path)?;
        let stat = stat.ok_or_else(|| TreeError::NotFound { path: path.clone() })?;
        let found = Found { path, stat, depth };
        match each(tree, &found)? {
            Step::In if stat.kind == Kind::Directory => (),
            Step::In | Step::Past => continue,
            Step::Stop => break,
        }
        if depth >= DEEPEST || !been.insert(stat.identity) {
            return Err(TreeError::TooDeep { path: found.path });
        }
        let names = tree.list(&found.path)?;
        todo.extend(names.iter().rev().map(|entry| (found.path.join(&entry.name), depth + 1)));
    }
    Ok(())
}

/// Returns all that [`visit`] comes to.
///
/// # Errors
///
/// As [`visit`].
pub fn find_all(tree: &mut dyn Tree, top: &GuestPath) -> Result<Vec<Found>, TreeError> {
    let mut all = Vec::new();
    visit(tree, top, &mut |_, found| {
        all.push(found.clone());
        Ok(Step::In)
    })?;
    Ok(all)
}

/// Removes all that is in a directory, behind links; the directory stays. Returns whether there
/// was anything.
///
/// # Errors
///
/// As [`remove_all`].
pub fn empty(tree: &mut dyn Tree, dir: &GuestPath) -> Result<bool, TreeError> {
    let names = tree.list(dir)?;
    for entry in &names {
        remove_all(tree, &dir.join(&entry.name))?;
    }
    Ok(!names.is_empty())
}
