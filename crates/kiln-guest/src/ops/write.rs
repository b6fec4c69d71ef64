// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `write`.

use super::argument::{action, pair, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::GuestPath;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "write",
    argument: Some("FILE:CONTENT"),
    heading: "Write a file",
    documentation: "\
Makes CONTENT, as it is and without a line end, all that is in FILE. A file that is there keeps its \
owner and permissions; a new one belongs to root and has the permissions 0644.",
    runs_programs: false,
    shown: Shown::First,
    parse: |text| {
        let (file, content) = pair(text)?;
        action(Write { file: path(file)?, content: content.to_owned() })
    },
};

#[derive(Debug)]
struct Write {
    file: GuestPath,
    content: String,
}

impl Action for Write {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        Ok(scene.put(&self.file, self.content.as_bytes(), 0o644)?)
    }
}
