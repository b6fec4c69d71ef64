// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `install`.

use super::argument::action;
use super::{Action, Network, Operation, Problem, Scene, Shown, Wrong};
use crate::run::{Job, Program};
use crate::system::packages::{Manager, list};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "install",
    argument: Some("PKG,PKG.."),
    heading: "Install packages",
    documentation: "\
Installs packages with the guest's own package manager, which may use the network for it unless \
--no-network is given. What it downloads does not stay in the guest.",
    runs_programs: true,
    shown: Shown::Whole,
    parse: |text| action(Install { packages: packages(text)? }),
};

#[derive(Debug)]
struct Install {
    packages: Vec<String>,
}

impl Action for Install {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let manager = manager(scene)?;
        let name = format!("install {}", self.packages.join(" "));
        run_manager(scene, manager, name, manager.install(&self.packages))
    }
}

/// Reads a list of packages.
pub(super) fn packages(text: &str) -> Result<Vec<String>, Wrong> {
    list(text).ok_or_else(|| Wrong::new("it is no list of packages, parted by commas"))
}

/// Returns the guest's package manager.
pub(super) fn manager(scene: &mut Scene<'_>) -> Result<Manager, Problem> {
    let found = Manager::of(&mut scene.tree, &scene.known)?;
    found.ok_or_else(|| Problem::refused("the guest has no package manager that kiln knows"))
}

/// Runs lines of shell that call a package manager; what it downloads does not stay.
pub(super) fn run_manager(
    scene: &mut Scene<'_>,
    manager: Manager,
    name: String,
    lines: String,
) -> Result<(), Problem> {
    let aside = manager.caches().iter().map(|cache| (*cache).into()).collect();
    let program = Program::Shell(lines.into_bytes());
    let network = scene.network != Network::None;
    scene.run(&Job { name, program, network, aside })
}
