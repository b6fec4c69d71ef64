// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files of a guest, given to somebody else.

use super::{Change, GuestPath, Kind, Stat, Step, Tree, TreeError, visit};

/// `S_ISUID`, and `S_ISGID` with the group's right to execute: what chown(2) takes away.
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2010;

/// Changes owner and group as chown(2) does: a file also loses its set-id bits. A link at the end is followed.
///
/// # Errors
///
/// As [`Tree::change`].
pub fn chown(
    tree: &mut dyn Tree,
    path: &GuestPath,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), TreeError> {
    let stat = tree.stat(path)?;
    let stat = stat.ok_or_else(|| TreeError::NotFound { path: path.clone() })?;
    tree.change(path, &given(&stat, uid, gid), true)
}

/// Changes owner and group of `top` and of all below it, of links themselves, as [`chown`] does.
///
/// # Errors
///
/// As [`visit`] and [`Tree::change`].
pub fn chown_all(
    tree: &mut dyn Tree,
    top: &GuestPath,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), TreeError> {
    visit(tree, top, &mut |tree, found| {
        tree.change(&found.path, &given(&found.stat, uid, gid), false)?;
        Ok(Step::In)
    })
}

fn given(stat: &Stat, uid: Option<u32>, gid: Option<u32>) -> Change {
    let mode = stat.attrs.mode;
    let no_uid = mode & !SET_UID;
    let kept = if mode & SET_GID == SET_GID { no_uid & !0o2000 } else { no_uid };
    let mode = (stat.kind == Kind::File && kept != mode).then_some(kept);
    Change { uid, gid, mode, mtime: None }
}
