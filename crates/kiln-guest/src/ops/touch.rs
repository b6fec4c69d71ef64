// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `touch`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::{Change, GuestPath, Kind, Tree as _, TreeError};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "touch",
    argument: Some("FILE"),
    heading: "Make an empty file, or renew the time of one",
    documentation: "\
Sets the time of change of FILE to now; makes it if it is not there: empty, owned by root, with the \
permissions 0644.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(Touch { file: path(text)? }),
};

#[derive(Debug)]
struct Touch {
    file: GuestPath,
}

impl Action for Touch {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        match scene.tree.stat(&self.file)? {
            None => scene.put(&self.file, b"", 0o644)?,
            Some(stat) if stat.kind == Kind::File => {
                let change = Change { mtime: Some(scene.now), ..Change::default() };
                scene.tree.change(&self.file, &change, true)?;
            }
            Some(_) => return Err(TreeError::NotAFile { path: self.file.clone() }.into()),
        }
        Ok(())
    }
}
