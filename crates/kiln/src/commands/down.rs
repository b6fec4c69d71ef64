// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln down`.

use serde_json::json;

use super::set::{lock, read, show, take_all};
use crate::args::down::Down;
use crate::context::Context;
use crate::machine::set::{self, Allowed, Object};
use crate::machine::{host, undo};

/// Removes all that a file's name owns.
pub(crate) fn run(ctx: &Context, args: &Down) -> anyhow::Result<u8> {
    let wish = read(args.set.path())?;
    let name = wish.name.as_str();
    let conn = host::connect(ctx)?;
    let _lock = if args.dry_run { None } else { Some(lock(ctx, &conn, name)?) };
    let actions = set::all_of(name, &set::ask(&conn, name)?);
    let allowed = Allowed { prune: true, ..Allowed::default() };
    if actions.is_empty() {
        ctx.ui.say(format!("`{name}` owns nothing on {}", conn.uri()));
    }
    if args.dry_run {
        if ctx.ui.json() {
            ctx.ui.result(&json!({ "set": name, "would": set::json_of(&actions, allowed) }));
        } else {
            actions.iter().for_each(|action| ctx.ui.out(action.line(allowed)));
        }
        return Ok(0);
    }
    if !actions.is_empty() {
        undo::can_begin(ctx)?;
        actions.iter().for_each(|action| ctx.ui.say(action.line(allowed)));
    }
    let objects: Vec<Object> = actions.into_iter().map(|action| action.object).collect();
    let outcomes = take_all(ctx, (&conn, name), &objects);
    Ok(show(ctx, (name, &outcomes), json!({})))
}
