// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `move`.

use super::argument::{action, pair, path};
use super::copy::target;
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::walk::{real_path, remove_all};
use crate::tree::{GuestPath, Tree as _, TreeError, copy};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "move",
    argument: Some("SOURCE:DEST"),
    heading: "Move files or directories inside the guest",
    documentation: "\
Gives SOURCE the name DEST, as `mv` does: also onto another file system of the guest; if DEST is a \
directory, SOURCE keeps its name in it. A file that has the new name is replaced.

Wildcards cannot be used.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        let (from, to) = pair(text)?;
        action(Move { from: path(from)?, to: path(to)? })
    },
};

#[derive(Debug)]
struct Move {
    from: GuestPath,
    to: GuestPath,
}

impl Action for Move {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let to = target(scene, &self.from, &self.to)?;
        match scene.tree.rename(&self.from, &to) {
            Err(TreeError::CrossDevice { .. }) => {}
            other => return Ok(other?),
        }
        let from = real_path(&mut scene.tree, &self.from, false)?;
        let to = real_path(&mut scene.tree, &to, false)?;
        copy(&mut scene.tree, &from, &to)?;
        remove_all(&mut scene.tree, &from)?;
        Ok(())
    }
}
