// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `copy`.

use super::argument::{action, pair, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::walk::real_path;
use crate::tree::{GuestPath, TreeError, copy};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "copy",
    argument: Some("SOURCE:DEST"),
    heading: "Copy files or directories inside the guest",
    documentation: "\
Copies SOURCE, with all that is in it, to DEST, as `cp -a` does: owners, permissions, times, links \
and extended attributes are kept; if DEST is a directory, the copy gets SOURCE's name in it.

Wildcards cannot be used.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (from, to) = pair(text)?;
        action(Copy { from: path(from)?, to: path(to)? })
    },
};

#[derive(Debug)]
struct Copy {
    from: GuestPath,
    to: GuestPath,
}

impl Action for Copy {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let to = target(scene, &self.from, &self.to)?;
        let from = real_path(&mut scene.tree, &self.from, false)?;
        let to = real_path(&mut scene.tree, &to, false)?;
        scene.need_any(&from)?;
        Ok(copy(&mut scene.tree, &from, &to)?)
    }
}

/// Returns where `from` goes that is copied or moved to `to`: into it if that is a directory.
pub(super) fn target(
    scene: &mut Scene<'_>,
    from: &GuestPath,
    to: &GuestPath,
) -> Result<GuestPath, TreeError> {
    match from.name() {
        Some(name) if scene.is_folder(to)? => Ok(to.join(name)),
        _ => Ok(to.clone()),
    }
}
