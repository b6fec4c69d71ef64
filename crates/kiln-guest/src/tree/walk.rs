// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finding and removing many files of a [`Tree`]: walks, whole folders, links.
//!
//! **Invariant:** the tree is hostile. Symbolic links below where a walk or a removal begins are
//! never followed; each directory is entered once, whatever the tree says; what is gathered is
//! bounded.

use std::collections::HashSet;

pub use super::glob::{fnmatch, glob};
use super::{Entry, GuestPath, Kind, Tree, TreeError};

/// The most paths that a pattern or a walk may give.
const MOST_PATHS: usize = 4 << 20;
/// The most bytes that these paths may take.
const MOST_BYTES: usize = 512 << 20;
/// How many folders may lie in one another.
pub(super) const DEEPEST: usize = 2048;
/// How many symbolic links a path may lead through, as in Linux.
const MOST_LINKS: usize = 40;

/// Paths that are gathered, and how many bytes they take.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) paths: Vec<GuestPath>,
    bytes: usize,
}

impl Paths {
    pub(super) fn push(&mut self, path: GuestPath) -> Result<(), TreeError> {
        self.bytes += path.as_bytes().len();
        if self.paths.len() >= MOST_PATHS || self.bytes > MOST_BYTES {
            return Err(TreeError::TooMany { path });
        }
        self.paths.push(path);
        Ok(())
    }
}

/// Returns all paths below `top`, and `top` itself first, that `wanted` takes. Folders come
/// before what is in them. A link at `top` is not followed either.
///
/// # Errors
///
/// [`TreeError::TooMany`], [`TreeError::TooDeep`], [`TreeError::Backend`].
pub fn find(
    tree: &mut dyn Tree,
    top: &GuestPath,
    wanted: &mut dyn FnMut(&GuestPath, Kind) -> bool,
) -> Result<Vec<GuestPath>, TreeError> {
    let mut found = Paths::default();
    let Some(stat) = present(tree.lstat(top))?.flatten() else { return Ok(found.paths) };
    let mut seen = HashSet::new();
    let mut open = vec![(top.clone(), stat.kind, 0)];
    while let Some((path, kind, depth)) = open.pop() {
        if wanted(&path, kind) {
            found.push(path.clone())?;
        }
        if kind != Kind::Directory || !is_new(tree, &path, &mut seen)? {
            continue;
        }
        if depth >= DEEPEST {
            return Err(TreeError::TooDeep { path });
        }
        let names = tree.list(&path)?;
        open.extend(names.iter().rev().map(|e| (path.join(&e.name), e.kind, depth + 1)));
        if open.len() > MOST_PATHS {
            return Err(TreeError::TooMany { path });
        }
    }
    Ok(found.paths)
}

/// Removes `path` and all that is below it; returns whether there was something. A link is
/// removed, not what it leads to.
///
/// # Errors
///
/// [`TreeError::TooDeep`], [`TreeError::ReadOnly`], [`TreeError::Backend`].
pub fn remove_all(tree: &mut dyn Tree, path: &GuestPath) -> Result<bool, TreeError> {
    let Some(stat) = present(tree.lstat(path))?.flatten() else { return Ok(false) };
    if stat.kind != Kind::Directory {
        tree.unlink(path)?;
        return Ok(true);
    }
    let mut seen = HashSet::new();
    // Folders whose contents are yet to be removed, and those that are then empty.
    let mut open = vec![(path.clone(), false)];
    while let Some((dir, empty)) = open.pop() {
        if empty {
            tree.rmdir(&dir)?;
            continue;
        }
        if dir.names().count() > DEEPEST || !is_new(tree, &dir, &mut seen)? {
            return Err(TreeError::TooDeep { path: dir });
        }
        open.push((dir.clone(), true));
        for Entry { name, kind } in tree.list(&dir)? {
            match kind {
                Kind::Directory => open.push((dir.join(&name), false)),
                _ => tree.unlink(&dir.join(&name))?,
            }
        }
    }
    Ok(true)
}

/// Returns where a path leads in the end: without `..` and, but for its last name if
/// `follow_last` is false, without symbolic links. Names that are not there are taken as they
/// stand.
///
/// # Errors
///
/// [`TreeError::Loop`], [`TreeError::Backend`].
pub fn real_path(
    tree: &mut dyn Tree,
    path: &GuestPath,
    follow_last: bool,
) -> Result<GuestPath, TreeError> {
    let mut todo: Vec<Vec<u8>> = path.names().rev().map(<[u8]>::to_vec).collect();
    let mut at = GuestPath::root();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == b".." {
            at = at.parent().unwrap_or_else(GuestPath::root);
            continue;
        }
        let next = at.join(&name);
        let link = follow_last || !todo.is_empty();
        let kind = present(tree.lstat(&next))?.flatten().map(|stat| stat.kind);
        if !(link && kind == Some(Kind::Symlink)) {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(TreeError::Loop { path: path.clone() });
        }
        let target = tree.read_link(&next)?;
        if target.starts_with(b"/") {
            at = GuestPath::root();
        }
        let names = target.rsplit(|&b| b == b'/');
        todo.extend(names.filter(|n| !n.is_empty() && *n != b".").map(<[u8]>::to_vec));
    }
    Ok(at)
}

/// Returns whether a directory has not been entered before.
fn is_new(
    tree: &mut dyn Tree,
    dir: &GuestPath,
    seen: &mut HashSet<(u32, u64)>,
) -> Result<bool, TreeError> {
    Ok(tree.lstat(dir)?.is_some_and(|stat| seen.insert(stat.identity)))
}

/// Makes `None` of a place that is not there.
///
/// # Errors
///
/// All others.
pub(crate) fn present<T>(result: Result<T, TreeError>) -> Result<Option<T>, TreeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            TreeError::NotFound { .. } | TreeError::NotADirectory { .. } | TreeError::Loop { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryTree;
    use super::*;

    fn shown(paths: Vec<GuestPath>) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn patterns_go_through_links_and_find_links() {
        let mut tree = MemoryTree::of(&[
            "/home/a/.ssh/id",
            "/home/b/x",
            "/home/c",
            "/home/d -> /nowhere",
            "/srv -> home",
        ]);
        let mut glob = |p: &str| shown(super::glob(&mut tree, p).unwrap());
        assert_eq!(glob("/home/*/.ssh"), ["/home/a/.ssh"]);
        assert_eq!(glob("/srv/*"), ["/srv/a", "/srv/b", "/srv/c", "/srv/d"]);
        assert_eq!(glob("/srv"), ["/srv"]);
        assert_eq!(glob("/home/[ab]/*"), ["/home/b/x"]);
        assert_eq!(glob("/no/*/x"), [""; 0]);
        assert_eq!(glob("/home/d"), ["/home/d"]);
    }

    #[test]
    fn removal_takes_links_and_leaves_what_they_lead_to() {
        let mut tree =
            MemoryTree::of(&["/tmp/a/b/c", "/tmp/a/out -> /etc", "/tmp/l -> /etc", "/etc/passwd"]);
        assert!(remove_all(&mut tree, &"/tmp/l".into()).unwrap());
        assert!(remove_all(&mut tree, &"/tmp/a".into()).unwrap());
        assert!(!remove_all(&mut tree, &"/tmp/a".into()).unwrap());
        assert_eq!(tree.paths(), ["/etc/", "/etc/passwd", "/tmp/"]);
    }

    #[test]
    fn a_walk_enters_no_links() {
        let mut tree = MemoryTree::of(&["/a/b/c~", "/a/l -> /a", "/a/d~/x", "/z~"]);
        let mut wanted = |path: &GuestPath, kind: Kind| {
            kind == Kind::File && path.name().is_some_and(|n| n.ends_with(b"~"))
        };
        assert_eq!(shown(find(&mut tree, &"/a".into(), &mut wanted).unwrap()), ["/a/b/c~"]);
        assert_eq!(shown(find(&mut tree, &"/a/l".into(), &mut |_, _| true).unwrap()), ["/a/l"]);
        let all = shown(find(&mut tree, &"/a".into(), &mut |_, _| true).unwrap());
        assert_eq!(all, ["/a", "/a/b", "/a/b/c~", "/a/d~", "/a/d~/x", "/a/l"]);
    }

    #[test]
    fn links_are_resolved_to_where_they_lead() {
        let mut tree = MemoryTree::of(&["/run/x", "/var/run -> /run", "/var/up -> ../../../run/x"]);
        let mut real = |p, last| real_path(&mut tree, &GuestPath::new(p).unwrap(), last).unwrap();
        assert_eq!(real("/var/run/new/file", true), "/run/new/file".into());
        assert_eq!(real("/var/up", true), "/run/x".into());
        assert_eq!(real("/var/up", false), "/var/up".into());
        assert_eq!(real("/var/run/../a", true), "/a".into());
    }
}
