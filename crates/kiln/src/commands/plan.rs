// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln plan`.

use serde_json::json;

use super::set::{read, resolve, sources};
use crate::args::plan::Plan;
use crate::context::Context;
use crate::machine::host;
use crate::machine::set::{self, Allowed};

/// Shows what `kiln up` would do.
pub(crate) fn run(ctx: &Context, args: &Plan) -> anyhow::Result<u8> {
    let wish = read(args.set.path())?;
    let sources = sources(ctx, &wish, (args.set.path(), None))?;
    let conn = host::connect(ctx)?;
    let (wanted, _) = resolve(ctx, &conn, &wish, &sources)?;
    let found = set::ask(&conn, &wanted.name)?;
    found.warn(&ctx.ui);
    let allowed = Allowed::from(args.allow);
    let actions = set::settled(set::compare(&wanted, &found)?, allowed);
    let done = actions.iter().filter(|action| action.is_allowed(allowed)).count();
    if ctx.ui.json() {
        ctx.ui.result(&json!({
            "set": wanted.name,
            "plan": set::json_of(&actions, allowed),
            "to_do": done,
            "held": actions.len() - done,
        }));
        return Ok(0);
    }
    actions.iter().for_each(|action| ctx.ui.out(action.line(allowed)));
    ctx.ui.say(summary(&wanted.name, (done, actions.len() - done)));
    Ok(0)
}

/// Returns how much is to be done, in a line.
pub(super) fn summary(set: &str, (done, held): (usize, usize)) -> String {
    match (done, held) {
        (0, 0) => format!("`{set}` is as its file says: nothing to do"),
        (0, held) => format!("`{set}`: nothing to do; {held} held back"),
        (done, 0) => format!("`{set}`: {done} to do"),
        (done, held) => format!("`{set}`: {done} to do, {held} held back"),
    }
}
