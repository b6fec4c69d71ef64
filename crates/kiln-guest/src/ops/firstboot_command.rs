// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `firstboot-command`.

use super::argument::action;
use super::{Action, Operation, Problem, Scene, Shown, Wrong, boot_scripts};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "firstboot-command",
    argument: Some("CMD+ARGS"),
    heading: "Run a command at the first boot",
    documentation: "\
Lets the guest run a command line with its /bin/sh, once, when it next boots: see firstboot.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| {
        if text.trim().is_empty() {
            return Err(Wrong::new("the command is missing"));
        }
        action(FirstbootCommand { command: text.to_owned() })
    },
};

#[derive(Debug)]
struct FirstbootCommand {
    command: String,
}

impl Action for FirstbootCommand {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let name = self.command.replace('/', "-");
        boot_scripts::add(scene, &name, format!("{}\n", self.command).as_bytes())
    }
}
