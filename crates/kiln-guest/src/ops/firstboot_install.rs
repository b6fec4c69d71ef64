// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `firstboot-install`.

use super::argument::action;
use super::install::{manager, packages};
use super::{Action, Operation, Problem, Scene, Shown, boot_scripts};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "firstboot-install",
    argument: Some("PKG,PKG.."),
    heading: "Install packages at the first boot",
    documentation: "\
Lets the guest install packages with its own package manager, once, when it next boots, over the \
network that it has then: see firstboot.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(FirstbootInstall { packages: packages(text)? }),
};

#[derive(Debug)]
struct FirstbootInstall {
    packages: Vec<String>,
}

impl Action for FirstbootInstall {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let lines = manager(scene)?.install(&self.packages);
        let name = format!("install {}", self.packages.join(" ")).replace('/', "-");
        boot_scripts::add(scene, &name, lines.as_bytes())
    }
}
