// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `run`.

use std::path::PathBuf;

use super::argument::{action, host_path};
use super::context::{check_file, host_file};
use super::{Action, Network, Operation, Problem, Scene, Shown};
use crate::run::{Job, Program};

/// The most bytes of a program that is put into the guest to be run.
const MOST: u64 = 256 << 20;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "run",
    argument: Some("SCRIPT"),
    heading: "Run a script of the host in the guest",
    documentation: "\
Runs SCRIPT, a file of the host, in the guest, as root, on the guest's files: with the interpreter \
that its first line names, which the guest must have, or with /bin/sh. It may be a program, too. It \
does not stay in the guest. The network is there only with --network. If it ends with another status than 0, all ends, and the image stays \
as it was.

See also run-command and firstboot.",
    runs_programs: true,
    shown: Shown::Whole,
    parse: |text| action(Run { script: host_path(text)? }),
};

#[derive(Debug)]
struct Run {
    script: PathBuf,
}

impl Action for Run {
    fn check(&self) -> Result<(), Problem> {
        check_file(&self.script)
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let bytes = host_file(&self.script, MOST)?;
        let is_program = bytes.starts_with(b"#!") || bytes.starts_with(b"\x7fELF");
        let program = if is_program { Program::File(bytes) } else { Program::Shell(bytes) };
        let name = self.script.display().to_string();
        let network = scene.network == Network::All;
        scene.run(&Job { name, program, network, aside: Vec::new() })
    }
}
