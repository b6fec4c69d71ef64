// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From packages to a raw disk: mmdebstrap's tar goes straight into the assembler, one pass.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use kiln_disk::assemble::{self, AssembleError, Assembled, ExtraFile, Layout, Progress};
use kiln_host::run::OnLine;
use kiln_host::tools::mmdebstrap;
use kiln_host::{CmdError, Host};
use kiln_spec::image::Firmware;
use kiln_spec::{Arch, Bytes};

use crate::BuildError;
use crate::base::debian::{self, Watch};
use crate::scratch::Scratch;
use crate::stage::{Event, Reporter, Stage};

use super::plan::Plan;

/// A raw disk, and what its making told.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) assembled: Assembled,
    pub(super) packages: u32,
}

/// Makes the raw disk `raw`, which must not exist; removed again on failure.
pub(super) fn make(
    plan: &Plan<'_>,
    host: &dyn Host,
    temp: &Path,
    raw: &Path,
    reporter: &Reporter<'_>,
) -> Result<Made, BuildError> {
    let scratch = Scratch::begin(temp, host)?;
    for (name, text) in debian::SCRIPTS {
        let path = scratch.path().join(name);
        fs::write(&path, text).map_err(|e| BuildError::io("write", path, e))?;
    }
    let tree = debian::tree(plan.recipe, plan.arch, scratch.path());
    let cmd = mmdebstrap::tar(&tree, scratch.path());
    reporter.tell(Event::Note(cmd.to_string()));
    let layout = layout(plan, raw)?;
    let (assembled, ended, watch) = thread::scope(|scope| {
        let (to_watch, lines) = channel::<String>();
        let watching = scope.spawn(move || {
            let mut watch = Watch::default();
            for line in lines {
                watch.line(&line).into_iter().for_each(|event| reporter.tell(event));
                reporter.tell(Event::Note(line));
            }
            watch
        });
        // Nobody listens when the build is being given up.
        let on_line: OnLine = Box::new(move |line| to_watch.send(line.to_owned()).unwrap_or(()));
        let (assembled, ended) = run(&cmd, on_line, host, &layout, reporter);
        let watch = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (assembled, ended, watch)
    });
    if let Err(source) = ended {
        let suite = plan.recipe.base.debian.codename();
        let (stage, cause) = (reporter.current(), watch.cause_of_failure());
        return Err(BuildError::of_packages(source, stage, cause, suite));
    }
    match assembled {
        Some(Ok(assembled)) => Ok(Made { assembled, packages: watch.packages() }),
        Some(Err(
            AssembleError::Interrupted
            | AssembleError::Tool { source: CmdError::Interrupted { .. } },
        )) => Err(BuildError::Interrupted),
        Some(Err(error)) => Err(BuildError::Disk(error)),
        None => unreachable!("without a disk there is an error of the tool"),
    }
}

type Ended = Result<(), CmdError>;

fn run(
    cmd: &kiln_host::Cmd,
    on_line: OnLine,
    host: &dyn Host,
    layout: &Layout,
    reporter: &Reporter<'_>,
) -> (Option<Result<Assembled, AssembleError>>, Ended) {
    let mut pipe = match host.pipe(cmd, on_line) {
        Ok(pipe) => pipe,
        Err(error) => return (None, Err(error)),
    };
    let mut told = Bytes(0);
    let assembled = assemble::assemble(layout, &mut pipe, host, &mut |progress| {
        if let Progress::Tree { bytes, .. } = progress
            && bytes >= told.0 + STEP.0
        {
            told = Bytes(bytes);
            reporter.tell(Event::Bytes { stage: Stage::Disk, done: told, of: None });
        }
    });
    let ended = match assembled {
        // A stream that breaks off: the tool knows why, if it failed.
        Ok(_) | Err(AssembleError::Tar { .. }) => pipe.finish(),
        // The disk is full, say: nobody wants the rest of the tree.
        Err(_) => {
            drop(pipe);
            Ok(())
        }
    };
    (Some(assembled), ended)
}

/// How many bytes lie between two reports.
const STEP: Bytes = Bytes::from_mib(8);

fn layout(plan: &Plan<'_>, raw: &Path) -> Result<Layout, BuildError> {
    let disk = &plan.recipe.disk;
    let mut layout = Layout::new(raw.to_owned(), disk.size, plan.seed(), debian::EPOCH);
    layout.esp = disk.esp;
    if let Some(words) = &plan.recipe.kernel_cmdline {
        layout.cmdline = layout.cmdline.and(words);
    }
    layout.arch = Some(plan.arch);
    if plan.arch == Arch::Arm64 {
        layout.firmware = vec![Firmware::Uefi];
    }
    layout.files = plan
        .files
        .iter()
        .map(|file| ExtraFile {
            path: file.path.clone(),
            mode: file.mode,
            bytes: file.content.clone().into_bytes(),
        })
        .collect();
    Ok(layout)
}
