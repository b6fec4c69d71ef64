// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `update`.

use super::argument::action;
use super::install::{manager, run_manager};
use super::{Action, Operation, Problem, Scene, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "update",
    argument: None,
    heading: "Bring all packages up to date",
    documentation: "\
Brings the packages of the guest up to date with its own package manager, which may use the \
network for it unless --no-network is given.",
    runs_programs: true,
    shown: Shown::Whole,
    parse: |_| action(Update),
};

#[derive(Debug)]
struct Update;

impl Action for Update {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let manager = manager(scene)?;
        run_manager(scene, manager, "update".to_owned(), manager.update())
    }
}
