// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `run-command`.

use super::argument::action;
use super::{Action, Network, Operation, Problem, Scene, Shown, Wrong};
use crate::run::{Job, Program};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "run-command",
    argument: Some("CMD+ARGS"),
    heading: "Run a command of the guest",
    documentation: "\
Runs a command line with the guest's /bin/sh, as root, on the guest's files. The guest is not \
booted: no service of it runs. The network is there only with --network. If the command ends with another status than 0, all ends, and the \
image stays as it was.

  --run-command 'update-ca-certificates && locale-gen'",
    runs_programs: true,
    shown: Shown::Whole,
    parse: |text| {
        if text.trim().is_empty() {
            return Err(Wrong::new("the command is missing"));
        }
        action(RunCommand { command: text.to_owned() })
    },
};

#[derive(Debug)]
struct RunCommand {
    command: String,
}

impl Action for RunCommand {
    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let program = Program::Shell(format!("{}\n", self.command).into_bytes());
        let (name, network) = (self.command.clone(), scene.network == Network::All);
        scene.run(&Job { name, program, network, aside: Vec::new() })
    }
}
