// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `truncate-recursive`.

use super::argument::{action, path};
use super::{Action, Operation, Problem, Scene, Shown};
use crate::tree::walk::{find, real_path};
use crate::tree::{GuestPath, Kind, Tree as _};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "truncate-recursive",
    argument: Some("PATH"),
    heading: "Empty all files below a directory",
    documentation: "\
Makes every file below PATH 0 bytes long. Symbolic links in it are not followed. PATH must be \
there; if it is a file, it is emptied itself.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(TruncateRecursive { path: path(text)? }),
};

#[derive(Debug)]
struct TruncateRecursive {
    path: GuestPath,
}

impl Action for TruncateRecursive {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        scene.need(&self.path)?;
        let top = real_path(&mut scene.tree, &self.path, true)?;
        for file in find(&mut scene.tree, &top, &mut |_, kind| kind == Kind::File)? {
            if scene.tree.lstat(&file)?.is_some_and(|stat| stat.size > 0) {
                scene.put(&file, b"", 0o644)?;
            }
        }
        Ok(())
    }
}
