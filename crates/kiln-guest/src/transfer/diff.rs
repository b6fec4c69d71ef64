// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The differences of two trees.

use std::collections::HashSet;
use std::io::{self, Write};

use ring::digest::{Context, SHA256};
use serde::Serialize;

use crate::tree::{Entry, GuestPath, Kind, Stat, Tree, TreeError, visit};
use crate::tree::{Step, Xattrs};

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffOptions {
    /// Whether times of change are.
    pub times: bool,
}

/// One place at which two trees differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: GuestPath,
    /// How.
    pub how: How,
}

/// How two trees differ at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Only the second has it.
    Added {
        /// What it is.
        new: Item,
    },
    /// Only the first has it.
    Removed {
        /// What it was.
        old: Item,
    },
    /// Both have it, and it is not the same.
    Changed {
        /// What it was.
        old: Item,
        /// What it is.
        new: Item,
        /// In which ways the two differ.
        aspects: Vec<Aspect>,
    },
}

/// Something in which two places differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// What sort of thing it is.
    Kind,
    /// The permissions.
    Mode,
    /// User or group.
    Owner,
    /// How long it is.
    Size,
    /// What is in it.
    Contents,
    /// Where a link leads.
    Target,
    /// The device's number.
    Device,
    /// Extended attributes.
    Xattrs,
    /// The time of change.
    Time,
}

/// What is at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `file`, `directory`, `link`, `char`, `block`, `fifo`, `socket`.
    pub kind: &'static str,
    /// The permissions, in octal.
    pub mode: String,
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of a file's contents, if they were compared and differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A link's target. It need not be text, so it is left out of what is serialized.
    #[serde(skip)]
    pub target: Option<Vec<u8>>,
    /// Seconds since 1970 of the last change.
    pub mtime: i64,
}

/// Returns in what two trees differ, in order of their paths; a directory before what is in it.
/// Of a directory that only one has, all that is in it is listed.
///
/// # Errors
///
/// [`TreeError::NotFound`] if neither has `top`; as [`visit`] and [`Tree::copy_out`].
pub fn diff(
    old: &mut dyn Tree,
    new: &mut dyn Tree,
    top: &GuestPath,
    options: DiffOptions,
) -> Result<Vec<Difference>, TreeError> {
    let mut all = Vec::new();
    let mut been = HashSet::new();
    let mut todo = vec![top.clone()];
    while let Some(path) = todo.pop() {
        let (was, is) = (old.lstat(&path)?, new.lstat(&path)?);
        match (was, is) {
            (Some(was), Some(is)) => {
                all.extend(changed((old, new), &path, (&was, &is), options)?);
                if was.kind != Kind::Directory || is.kind != Kind::Directory {
                    below((old, was.kind), &path, &mut |old| How::Removed { old }, &mut all)?;
                    below((new, is.kind), &path, &mut |new| How::Added { new }, &mut all)?;
                    continue;
                }
                if !been.insert((was.identity, is.identity)) {
                    return Err(TreeError::TooDeep { path });
                }
                let names = merged(old.list(&path)?, new.list(&path)?);
                todo.extend(names.iter().rev().map(|name| path.join(name)));
            }
            (Some(_), None) => {
                list(old, &path, &mut |old| How::Removed { old }, &mut all)?;
            }
            (None, Some(_)) => {
                list(new, &path, &mut |new| How::Added { new }, &mut all)?;
            }
            // What is in neither was asked for by mistake.
            (None, None) => return Err(TreeError::NotFound { path }),
        }
    }
    Ok(all)
}

fn merged(old: Vec<Entry>, new: Vec<Entry>) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = old.into_iter().chain(new).map(|entry| entry.name).collect();
    names.sort();
    names.dedup();
    names
}

/// Lists what is in a directory that has become something else.
fn below(
    (tree, kind): (&mut dyn Tree, Kind),
    dir: &GuestPath,
    how: &mut dyn FnMut(Item) -> How,
    all: &mut Vec<Difference>,
) -> Result<(), TreeError> {
    if kind == Kind::Directory {
        for entry in tree.list(dir)? {
            list(tree, &dir.join(entry.name), how, all)?;
        }
    }
    Ok(())
}

fn list(
    tree: &mut dyn Tree,
    top: &GuestPath,
    how: &mut dyn FnMut(Item) -> How,
    all: &mut Vec<Difference>,
) -> Result<(), TreeError> {
    visit(tree, top, &mut |tree, found| {
        let item = item(tree, &found.path, &found.stat)?;
        all.push(Difference { path: found.path.clone(), how: how(item) });
        Ok(Step::In)
    })
}

fn item(tree: &mut dyn Tree, path: &GuestPath, stat: &Stat) -> Result<Item, TreeError> {
    let target = match stat.kind {
        Kind::Symlink => Some(tree.read_link(path)?),
        _ => None,
    };
    Ok(Item {
        kind: stat.kind.name(),
        mode: format!("{:04o}", stat.attrs.mode),
        uid: stat.attrs.uid,
        gid: stat.attrs.gid,
        size: (stat.kind == Kind::File).then_some(stat.size),
        sha256: None,
        target,
        mtime: stat.attrs.mtime.seconds,
    })
}

fn changed(
    (old, new): (&mut dyn Tree, &mut dyn Tree),
    path: &GuestPath,
    (was, is): (&Stat, &Stat),
    options: DiffOptions,
) -> Result<Option<Difference>, TreeError> {
    let mut aspects = Vec::new();
    let mut note = |differs: bool, aspect| {
        if differs {
            aspects.push(aspect);
        }
    };
    let same_kind = was.kind == is.kind;
    note(!same_kind, Aspect::Kind);
    note(was.attrs.mode != is.attrs.mode && is.kind != Kind::Symlink, Aspect::Mode);
    note((was.attrs.uid, was.attrs.gid) != (is.attrs.uid, is.attrs.gid), Aspect::Owner);
    note(same_kind && was.device != is.device, Aspect::Device);
    note(options.times && was.attrs.mtime != is.attrs.mtime, Aspect::Time);
    let (mut before, mut after) = (item(old, path, was)?, item(new, path, is)?);
    note(same_kind && before.target != after.target, Aspect::Target);
    if same_kind && is.kind == Kind::File {
        note(was.size != is.size, Aspect::Size);
        if was.size == is.size && was.size > 0 {
            let digests = (digest(old, path)?, digest(new, path)?);
            if digests.0 != digests.1 {
                note(true, Aspect::Contents);
                (before.sha256, after.sha256) = (Some(digests.0), Some(digests.1));
            }
        }
    }
    note(sorted(old.xattrs(path)?) != sorted(new.xattrs(path)?), Aspect::Xattrs);
    let how = How::Changed { old: before, new: after, aspects };
    let differs = matches!(&how, How::Changed { aspects, .. } if !aspects.is_empty());
    Ok(differs.then(|| Difference { path: path.clone(), how }))
}

fn sorted(mut xattrs: Xattrs) -> Xattrs {
    xattrs.sort();
    xattrs
}

fn digest(tree: &mut dyn Tree, path: &GuestPath) -> Result<String, TreeError> {
    let mut hash = Hash(Context::new(&SHA256));
    tree.copy_out(path, &mut hash)?;
    Ok(hash.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Hash(Context);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
