// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `uninstall`.

use super::argument::action;
use super::install::{manager, packages, run_manager};
use super::{Action, Operation, Problem, Scene, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "uninstall",
    argument: Some("PKG,PKG.."),
    heading: "Remove packages",
    documentation: "\
Removes packages with the guest's own package manager, and those that cannot be without them.",
    runs_programs: true,
    shown: Shown::Whole,
    parse: |text| action(Uninstall { packages: packages(text)? }),
};

#[derive(Debug)]
struct Uninstall {
    packages: Vec<String>,
}

impl Action for Uninstall {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let manager = manager(scene)?;
        let name = format!("uninstall {}", self.packages.join(" "));
        run_manager(scene, manager, name, manager.uninstall(&self.packages))
    }
}
