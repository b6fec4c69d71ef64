// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `flag-reconfiguration`: let the first boot ask for settings.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{Change, GuestPath, Tree, TreeError};

pub(super) const OPERATION: Operation = Operation {
    name: "flag-reconfiguration",
    origin: Origin::Sysprep,
    default: false,
    heading: "Let the first boot ask for the root password and other settings",
    documentation: "Systems that know this file ask at the console, and wait for answers.",
    notes: "",
    paths: &["/.unconfigured"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let path = GuestPath::from("/.unconfigured");
    match work.lstat(&path)? {
        None => work.write(&path, b"", 0o644),
        Some(_) => {
            let change = Change { mtime: Some(work.now), ..Change::default() };
            work.tree.change(&path, &change, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn the_flag_is_set_once() {
        let mut tree = MemoryTree::of(&["/etc/x"]);
        sealed(&mut tree, "flag-reconfiguration");
        sealed(&mut tree, "flag-reconfiguration");
        assert_eq!(tree.paths(), ["/.unconfigured", "/etc/", "/etc/x"]);
    }
}
