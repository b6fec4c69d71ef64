// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `delete`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown, Wrong};
use crate::tree::walk::{glob, remove_all};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "delete",
    argument: Some("PATH"),
    heading: "Delete a file or directory",
    documentation: "\
Deletes a file, or a directory with all that is in it. What is not there is no error. A symbolic \
link is deleted itself, never what it leads to.

PATH may have the wildcards of a shell: *, ?, [a-z] and {a,b}. A backslash takes their meaning. \
Mind to quote them from your own shell:

  --delete '/var/log/*.log'",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        if path(text)?.names().next().is_none() {
            return Err(Wrong::new("the root directory cannot be deleted"));
        }
        action(Delete { pattern: text.to_owned() })
    },
};

#[derive(Debug)]
struct Delete {
    pattern: String,
}

impl Action for Delete {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        for path in glob(&mut scene.tree, &self.pattern)? {
            if path.names().last().is_none_or(|name| name == b"..") {
                let why = format!("`{path}` cannot be deleted: it ends in no name");
                return Err(Problem::refused(why));
            }
            remove_all(&mut scene.tree, &path)?;
        }
        Ok(())
    }
}
