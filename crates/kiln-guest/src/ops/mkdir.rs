// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mkdir`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "mkdir",
    argument: Some("DIR"),
    heading: "Make a directory",
    documentation: "\
Makes a directory and those above it that are missing, as `mkdir -p` does: owned by root, with the \
permissions 0755. One that is there is left as it is.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(Mkdir { dir: path(text)? }),
};

#[derive(Debug)]
struct Mkdir {
    dir: GuestPath,
}

impl Action for Mkdir {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        Ok(scene.folders(&self.dir, 0o755)?)
    }
}
