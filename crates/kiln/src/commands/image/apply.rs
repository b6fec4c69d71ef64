// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A few operations on an image, for the verbs that do one thing.

use std::fs::File;
use std::io::Read;

use kiln_guest::ops::{EditContext, Network, Plan, Report, customize};
use kiln_guest::tree::Edits;
use serde_json::json;

use super::{edits, open};
use crate::args::image::target::Target;
use crate::context::Context;
use crate::error::{Class, Problem};

/// Adds an operation whose argument is two words parted by a colon.
///
/// # Errors
///
/// The first has a colon in it, or the operation does not take them (class usage).
pub(crate) fn add(plan: &mut Plan, name: &str, first: &str, second: &str) -> anyhow::Result<()> {
    if first.contains(':') {
        let what = format!("`{first}` has a colon in it, which this verb cannot take");
        return Err(Problem::new(Class::Usage, what).into());
    }
    let added = plan.add(name, Some(&format!("{first}:{second}")));
    added.map_err(|error| Problem::new(Class::Usage, error.to_string()).because(error))?;
    Ok(())
}

/// Does what a plan says to an image, all or nothing, and shows it.
///
/// # Errors
///
/// As [`open::guest_editing`]; an operation fails. The image is as it was then.
pub(crate) fn run(ctx: &Context, target: &Target, plan: &Plan) -> anyhow::Result<u8> {
    plan.check()?;
    let mut changing = open::guest_editing(ctx, target)?;
    let report = customize(
        plan,
        EditContext {
            tree: changing.guest.tree(),
            now: open::now(),
            random: &mut |bytes| File::open("/dev/urandom")?.read_exact(bytes),
            keys: &[],
            runner: None,
            network: Network::None,
            progress: &mut |_| (),
        },
    )?;
    changing.finish()?;
    let Report { done, notes, .. } = report;
    notes.iter().for_each(|note| ctx.ui.warn(note));
    let mut all = Edits::default();
    for one in done {
        all.list.extend(one.edits.list);
        all.left_out += one.edits.left_out;
    }
    show(ctx, target, (&all, &notes));
    Ok(0)
}

/// Shows what was changed, or would be.
pub(crate) fn show(ctx: &Context, target: &Target, (all, notes): (&Edits, &[String])) {
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "image": target.image,
            "dry_run": target.dry_run,
            "changes": edits::as_json(all),
            "changes_left_out": all.left_out,
            "notes": notes,
        }));
        return;
    }
    if target.dry_run {
        edits::lines(all).iter().for_each(|line| ctx.ui.out(line));
        ctx.ui.say("nothing was changed: this was a dry run");
    } else if all.list.is_empty() {
        ctx.ui.say("nothing to do");
    } else {
        ctx.ui.say(edits::summary(all));
    }
}
