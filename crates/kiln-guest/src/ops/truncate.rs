// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `truncate`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "truncate",
    argument: Some("FILE"),
    heading: "Empty a file",
    documentation: "Makes FILE, which must be there, 0 bytes long.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(Truncate { file: path(text)? }),
};

#[derive(Debug)]
struct Truncate {
    file: GuestPath,
}

impl Action for Truncate {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        scene.need_file(&self.file)?;
        Ok(scene.put(&self.file, b"", 0o644)?)
    }
}
