// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln up`.

use kiln_host::beside::folder_of;
use serde_json::json;

use super::plan::summary;
use super::set::{Carry, Outcome, Things, get_images, lock, read, resolve, show, sources};
use crate::args::stop::How;
use crate::args::up::Up;
use crate::context::Context;
use crate::machine::set::{self, Action, Allowed};
use crate::machine::{host, undo};

/// Makes what a file wants.
pub(crate) fn run(ctx: &Context, args: &Up) -> anyhow::Result<u8> {
    // All that can be wrong with the user's own things is found before the host is asked.
    let wish = read(args.set.path())?;
    let sources = sources(ctx, &wish, (args.set.path(), Some(args)))?;
    let conn = host::connect(ctx)?;
    let _lock = lock(ctx, &conn, wish.name.as_str())?;
    let (mut wanted, mut images) = resolve(ctx, &conn, &wish, &sources)?;
    let found = set::ask(&conn, &wanted.name)?;
    found.warn(&ctx.ui);
    let allowed = Allowed::from(args.allow);
    let actions = set::settled(set::compare(&wanted, &found)?, allowed);
    actions.iter().for_each(|action| ctx.ui.say(action.line(allowed)));
    let plan = set::json_of(&actions, allowed);
    let all = actions.len();
    let mut actions: Vec<Action> =
        actions.into_iter().filter(|action| action.is_allowed(allowed)).collect();
    ctx.ui.say(summary(&wanted.name, (actions.len(), all - actions.len())));
    if !actions.is_empty() {
        undo::can_begin(ctx)?;
    }
    let got = get_images(ctx, &actions)?;
    if !got.is_empty() {
        // Only now is known what the images are; what else is to be done is the same.
        (wanted, images) = resolve(ctx, &conn, &wish, &sources)?;
        let found = set::ask(&conn, &wanted.name)?;
        actions = set::settled(set::compare(&wanted, &found)?, allowed);
        actions.retain(|action| action.is_allowed(allowed));
    }
    let how = How { timeout: args.stop_timeout, hard: false };
    let folder = folder_of(args.set.path());
    let things =
        Things { conn: &conn, set: &wanted.name, sources: &sources.machines, folder, images, how };
    let (outcomes, machines) = Carry::new(ctx, things).out(&actions);
    let outcomes: Vec<Outcome> = got.into_iter().chain(outcomes).collect();
    let more = json!({ "plan": plan, "machines": machines, "held": all - actions.len() });
    Ok(show(ctx, (&wanted.name, &outcomes), more))
}
