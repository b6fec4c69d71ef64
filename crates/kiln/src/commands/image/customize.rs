// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image customize`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context as _;
use kiln_guest::ops::{
    Done, EditContext, Network, OPERATIONS, Operation, Plan, Report, Step, customize, manual,
};
use kiln_guest::run::{NamespaceRunner, Runner, resolvers};
use kiln_guest::tree::Tree;
use kiln_host::scratch::Scratch;
use serde_json::{Value, json};

use super::{edits, listing, open, report};
use crate::args::image::customize::{Customize, Listing};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem};
use crate::machine::keys;
use crate::remains;

/// Changes the system in an image, or lists the operations.
pub(crate) fn run(ctx: &Context, args: &Customize) -> anyhow::Result<u8> {
    let (Some(target), None) = (args.target.target(), args.list_operations) else {
        list(ctx, args.list_operations.unwrap_or(Listing::Short));
        return Ok(0);
    };
    let plan = args.operations.plan()?;
    if plan.steps.is_empty() {
        let problem = Problem::new(Class::Usage, "there is nothing to do: no operation is given");
        return Err(problem.hint("`kiln image customize --help` lists them").into());
    }
    let keys = prepare(ctx, &plan)?;
    let mut changing = open::guest_editing(ctx, &target)?;
    let how = (args.programs.network(), keys.as_slice());
    let report = apply(ctx, how, &plan, changing.guest.tree())?;
    show(ctx, args.target.dry_run, &report);
    let result = as_json(&target.image, args.target.dry_run, &report);
    let passwords = if args.target.dry_run { &[][..] } else { &report.passwords };
    let told = report::tell_passwords(ctx, passwords, &result)?;
    changing.finish()?;
    if ctx.ui.json() && !told {
        ctx.ui.result(&result);
    } else if args.target.dry_run {
        ctx.ui.say("nothing was changed: this was a dry run");
    }
    Ok(0)
}

/// Looks for all that a plan needs of the host, before an image is opened or an appliance starts;
/// returns the user's own keys if they are asked for.
pub(super) fn prepare(ctx: &Context, plan: &Plan) -> anyhow::Result<Vec<String>> {
    plan.check()?;
    Ok(if plan.wants_keys() { keys::find(ctx, true)?.public } else { Vec::new() })
}

/// Carries out a plan on a tree; `keys` are those of [`prepare`].
pub(crate) fn apply(
    ctx: &Context,
    (network, keys): (Network, &[String]),
    plan: &Plan,
    tree: &mut dyn Tree,
) -> anyhow::Result<Report> {
    let mut random = |bytes: &mut [u8]| File::open("/dev/urandom")?.read_exact(bytes);
    let log = plan.runs_programs().then(|| Log::new(ctx)).transpose()?;
    let mut runner = log.as_ref().map(|log| log.runner(ctx)).transpose()?;
    let mut progress = |step: &Step| {
        let line = format!("{} {}", step.operation.name, step.argument);
        if step.operation.runs_programs {
            ctx.ui.say(line.trim_end());
        } else {
            ctx.ui.detail(line.trim_end());
        }
    };
    let edit = EditContext {
        tree,
        now: open::now(),
        random: &mut random,
        keys,
        runner: runner.as_mut().map(|(runner, _)| runner as &mut dyn Runner),
        network,
        progress: &mut progress,
    };
    let done = customize(plan, edit);
    drop(runner);
    match done {
        Ok(report) => {
            if let Some(log) = log {
                ctx.ui.detail(format!("what the programs wrote is in {}", log.path.display()));
            }
            Ok(report)
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            Err(match log {
                Some(log) => {
                    let path = log.path.display();
                    error.context(format!("the image was not changed; the log is `{path}`"))
                }
                None => error,
            })
        }
    }
}

/// Where what the guest's programs write goes.
struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn new(ctx: &Context) -> anyhow::Result<Self> {
        let folder = ctx.sub("logs");
        let failed = || format!("could not make a log in `{}`", folder.display());
        fs::create_dir_all(&folder).with_context(failed)?;
        let name = format!("customize-{}-{}.log", unix_secs(), std::process::id());
        let path = folder.join(name);
        // Only its owner reads it: programs may write secrets.
        let mut options = File::options();
        let file = options.create_new(true).append(true).mode(0o600).open(&path);
        Ok(Self { file: file.with_context(failed)?, path })
    }

    /// Returns what runs the guest's programs, and its folder, which goes with it.
    fn runner<'a>(&self, ctx: &'a Context) -> anyhow::Result<(NamespaceRunner<'a>, Scratch)> {
        let scratch = Scratch::begin(&remains::folder(ctx), "customize")?;
        let mut file = self.file.try_clone().context("could not open the log again")?;
        let mut failed = false;
        let mut shown = Lines::default();
        let log = move |bytes: &[u8]| {
            if let Err(error) = file.write_all(bytes)
                && !std::mem::replace(&mut failed, true)
            {
                ctx.ui.warn(format!("what the programs write cannot be kept: {error}"));
            }
            shown.add(bytes).iter().for_each(|line| ctx.ui.detail(line));
        };
        let runner = NamespaceRunner {
            exec: remains::exec(),
            scratch: scratch.path().to_owned(),
            resolvers: resolvers(),
            env: ctx.env.proxies.clone(),
            deadline: None,
            log: Box::new(log),
        };
        Ok((runner, scratch))
    }
}

/// Whole lines of what programs write, without what a terminal would obey.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        /// Longer lines are cut.
        const MOST: usize = 4096;
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte == b'\n' || self.begun.len() >= MOST {
                let text = String::from_utf8_lossy(&self.begun).into_owned();
                lines.push(text.chars().filter(|c| !c.is_control()).collect());
                self.begun.clear();
            }
            if byte != b'\n' {
                self.begun.push(byte);
            }
        }
        lines
    }
}

/// Shows what each operation changed: in a dry run each place, else with `-v` how much.
fn show(ctx: &Context, dry_run: bool, report: &Report) {
    report.notes.iter().for_each(|note| ctx.ui.warn(note));
    for done in report.done.iter().filter(|_| !ctx.ui.json()) {
        let what = format!("{} {}", done.operation, done.argument);
        let what = what.trim_end();
        let empty = done.edits.list.is_empty();
        let summary =
            if empty { "nothing changes".to_owned() } else { edits::summary(&done.edits) };
        if dry_run {
            ctx.ui.out(format!("{what}: {summary}"));
            edits::lines(&done.edits).iter().for_each(|line| ctx.ui.out(format!("  {line}")));
        } else {
            ctx.ui.detail(format!("{what}: {summary}"));
        }
    }
    report::tell_labels(ctx, &report.labels);
}

fn list(ctx: &Context, how: Listing) {
    let all = OPERATIONS.iter().map(|o| operation_as_json(o)).collect();
    let manual =
        listing::Manual { short: manual::list, long: manual::manual, markdown: manual::markdown };
    listing::tell(ctx, how, all, &manual);
}

fn operation_as_json(operation: &Operation) -> Value {
    json!({
        "name": operation.name,
        "argument": operation.argument,
        "heading": operation.heading,
        "documentation": operation.documentation,
        "runs_programs": operation.runs_programs,
    })
}

fn as_json(image: &str, dry_run: bool, report: &Report) -> Value {
    let done = |done: &Done| {
        json!({
            "name": done.operation,
            "argument": done.argument,
            "changes": edits::as_json(&done.edits),
            "changes_left_out": done.edits.left_out,
        })
    };
    let operations: Vec<_> = report.done.iter().map(done).collect();
    let shown = report.passwords.iter().filter(|_| !dry_run);
    let passwords: Vec<_> = shown.map(report::password).collect();
    json!({
        "image": image,
        "dry_run": dry_run,
        "operations": operations,
        "passwords": passwords,
        "programs_ran": report.programs_ran,
        "selinux_labels": report::labels(&report.labels),
        "notes": report.notes,
    })
}
