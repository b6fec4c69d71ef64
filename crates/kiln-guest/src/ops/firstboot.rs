// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `firstboot`.

use std::path::PathBuf;

use super::argument::{action, host_path};
use super::context::{check_file, host_file};
use super::{Action, Operation, Problem, Scene, Shown, boot_scripts};

/// The most bytes of a script.
const MOST: u64 = 64 << 20;

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "firstboot",
    argument: Some("SCRIPT"),
    heading: "Run a script at the first boot",
    documentation: "\
Copies SCRIPT, a file of the host, into the guest, which runs it once when it next boots: as root, \
late, with the network up. Several run in the order in which they were given. What they write goes \
to the journal, the console and /var/log/kiln-firstboot.log; one that fails does not stop the \
others. The guest must have systemd, sysvinit or OpenRC.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| action(Firstboot { script: host_path(text)? }),
};

#[derive(Debug)]
struct Firstboot {
    script: PathBuf,
}

impl Action for Firstboot {
    fn check(&self) -> Result<(), Problem> {
        check_file(&self.script)
    }

    fn apply(&self, scene: &mut Scene<'_>) -> Result<(), Problem> {
        let contents = host_file(&self.script, MOST)?;
        boot_scripts::add(scene, &self.script.to_string_lossy(), &contents)
    }
}
