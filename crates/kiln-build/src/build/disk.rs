// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a tree of layers to a disk: its archive goes straight into the assembler, one pass.

use std::path::Path;

use kiln_disk::assemble::{
    self, AssembleError, Assembled, Layout, NewTable, OutputFormat, Progress,
};
use kiln_host::{CmdError, Host};
use kiln_spec::image::Firmware;
use kiln_spec::recipe::{Base, Table};
use kiln_spec::{Arch, Bytes};

use super::plan::Plan;
use crate::BuildError;
use crate::stage::{Event, Reporter, Stage};
use crate::workspace::Workspace;

/// How many bytes lie between two reports.
const STEP: u64 = 8 << 20;

/// Makes the disk `disk`, which must not exist; nothing is left of it on failure.
pub(super) fn make(
    plan: &Plan<'_>,
    workspace: &mut Workspace<'_>,
    disk: &Path,
    (host, reporter): (&dyn Host, &Reporter<'_>),
) -> Result<Assembled, BuildError> {
    let layout = layout(plan, disk);
    let mut told = 0;
    let assembled = workspace.tar(plan.epoch, |tar| {
        assemble::assemble(&layout, tar, host, &mut |progress| {
            if let Progress::Tree { bytes, .. } = progress
                && bytes >= told + STEP
            {
                told = bytes;
                reporter.tell(Event::Bytes { stage: Stage::Disk, done: Bytes(told), of: None });
            }
        })
    })?;
    match assembled {
        Ok(assembled) => Ok(assembled),
        Err(
            AssembleError::Interrupted
            | AssembleError::Tool { source: CmdError::Interrupted { .. } },
        ) => Err(BuildError::Interrupted),
        Err(error) => Err(BuildError::Disk(error)),
    }
}

fn layout(plan: &Plan<'_>, output: &Path) -> Layout {
    let disk = &plan.recipe.disk;
    let mut layout = Layout::new(output.to_owned(), disk.size, plan.seed(), plan.epoch);
    layout.format = OutputFormat::Qcow2;
    layout.esp = disk.esp;
    layout.swap = disk.swap;
    layout.table = match disk.table {
        Table::Gpt => NewTable::Gpt,
        Table::Mbr => NewTable::Mbr,
    };
    if let Some(label) = &disk.label {
        layout.label = label.to_string();
    }
    if let Some(words) = &plan.kernel_cmdline {
        layout.cmdline = layout.cmdline.and(words);
    }
    layout.arch = Some(plan.arch);
    if plan.arch == Arch::Arm64 {
        layout.firmware = vec![Firmware::Uefi];
    }
    // Whoever made a tree knows which loaders it has.
    layout.any_firmware = matches!(plan.recipe.base, Base::Tree(_));
    layout
}
