// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image check`.

use kiln_disk::check::{Means, Part, Report, State, What, check, repair};
use kiln_disk::fs::ext::Progress;
use kiln_host::scratch::Scratch;
use serde_json::{Value, json};

use super::open;
use crate::args::image::check::Check;
use crate::context::Context;
use crate::error::Class;
use crate::remains;
use crate::ui::Task;

/// The most lines of a tool's report that are shown; `--json` has all.
const MOST_LINES: usize = 40;

/// Checks an image, or mends it.
pub(crate) fn run(ctx: &Context, args: &Check) -> anyhow::Result<u8> {
    let image = &args.source.image;
    let keep = args.repair && !args.dry_run;
    let place = if keep { open::own_location(ctx, image)? } else { open::location(ctx, image)? };
    let options = open::options_of(ctx, &place, &args.source)?;
    let scratch = Scratch::begin(&remains::folder(ctx), "check")?;
    let task = ctx.ui.task("check");
    let mut on = |what: &What, progress: Option<Progress>| tell(&task, what, progress);
    let mut means = Means { host: &ctx.host, scratch: scratch.path(), on: &mut on };
    let report = if args.repair {
        repair(&place, &options, keep, &mut means)
    } else {
        check(&place, &options, &mut means)
    };
    let report = report.map_err(open::follow_hint)?;
    drop(task);
    report.warnings.iter().for_each(|warning| ctx.ui.warn(warning.to_string()));
    if ctx.ui.json() {
        ctx.ui.result(&as_json(args, &report));
    } else {
        report.parts.iter().for_each(|part| show(ctx, args, part));
        conclude(ctx, args, &report);
    }
    Ok(if report.is_good() { 0 } else { Class::Found.code() })
}

fn tell(task: &Task, what: &What, progress: Option<Progress>) {
    let percent = |done: u64, total: u64| {
        let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(100);
        format!("{percent}%")
    };
    let detail = match progress {
        None | Some(Progress::Tool) => String::new(),
        Some(Progress::Copy { done, total }) => format!("read {}", percent(done, total)),
        Some(Progress::WriteBack { done, total }) => format!("written {}", percent(done, total)),
    };
    task.phase(&what.to_string(), &detail);
}

fn show(ctx: &Context, args: &Check, part: &Part) {
    let state = match part.state {
        State::Clean => "clean",
        State::Damaged => "damaged",
        State::Unmendable if args.repair => "damaged, and cannot be mended",
        State::Unmendable => "damaged",
        State::Mended if args.dry_run => "would be mended",
        State::Mended => "mended",
        State::NotChecked => "not checked",
    };
    ctx.ui.out(format!("{}: {state}", part.what));
    part.findings.iter().for_each(|finding| ctx.ui.out(format!("  {}", printable(finding))));
    let lines: Vec<&str> = part.report.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().take(MOST_LINES) {
        ctx.ui.out(format!("  | {}", printable(line)));
    }
    if let Some(more) = lines.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        ctx.ui.out(format!("  | ({more} more lines; `--json` has all)"));
    }
}

fn conclude(ctx: &Context, args: &Check, report: &Report) {
    let mended = report.parts.iter().any(|part| part.state == State::Mended);
    let damaged = report.parts.iter().any(|part| part.state == State::Damaged);
    if args.repair && !report.is_good() {
        ctx.ui.say("nothing was changed: not all that is wrong can be mended");
    } else if args.dry_run {
        ctx.ui.say("nothing was changed: this was a dry run");
    } else if args.repair && !mended {
        ctx.ui.say("nothing to mend");
    } else if damaged && !args.repair {
        ctx.ui.say("`--repair` mends it");
    }
}

fn as_json(args: &Check, report: &Report) -> Value {
    let mended = report.parts.iter().any(|part| part.state == State::Mended);
    json!({
        "image": args.source.image,
        "good": report.is_good(),
        "repair": args.repair,
        "dry_run": args.dry_run,
        "changed": mended && report.is_good() && !args.dry_run,
        "parts": report.parts.iter().map(part_as_json).collect::<Vec<_>>(),
    })
}

fn part_as_json(part: &Part) -> Value {
    let (kind, name, partition) = match &part.what {
        What::Format(name) => ("format", Some(*name), None),
        What::File => ("format", None, None),
        What::Table(name) => ("partition_table", Some(*name), None),
        What::FileSystem { partition, kind } => ("file_system", Some(kind.name()), *partition),
        _ => ("disk", None, None),
    };
    let state = match part.state {
        State::Clean => "clean",
        State::Damaged => "damaged",
        State::Unmendable => "unmendable",
        State::Mended => "mended",
        State::NotChecked => "not_checked",
    };
    json!({
        "part": kind,
        "name": name,
        "partition": partition,
        "state": state,
        "findings": part.findings,
        "report": part.report,
    })
}

/// Returns a text of a tool, with names of the image in it, without what a terminal would obey.
fn printable(text: &str) -> String {
    let shown = |c| match c {
        '\t' | '\r' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.trim_end().chars().map(shown).collect()
}
