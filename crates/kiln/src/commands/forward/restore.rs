// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward restore`.

use serde_json::json;

use crate::args::forward::restore::Restore;
use crate::context::Context;
use crate::machine::forward::{self, Way};
use crate::machine::host;

/// Makes the rules of all forwards anew.
pub(crate) fn run(ctx: &Context, args: &Restore) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    if conn.is_session() {
        ctx.ui.say("in a session passt makes the forwards, with each start of a machine");
        if ctx.ui.json() {
            ctx.ui.result(&json!({ "forwards": 0, "machines": [], "without_address": [] }));
        }
        return Ok(0);
    }
    forward::check_able(ctx, &conn, Way::Host)?;
    let rebuilt = forward::rebuild(ctx, &conn, args.dry_run)?;
    for name in &rebuilt.without_address {
        ctx.ui.warn(format!("the forwards of `{name}` lead nowhere: its address is not known"));
    }
    if ctx.ui.json() {
        let mut result = json!({
            "forwards": rebuilt.forwards,
            "machines": rebuilt.machines,
            "without_address": rebuilt.without_address,
        });
        if args.dry_run {
            result["would_tell_nft"] = rebuilt.commands;
        }
        ctx.ui.result(&result);
    } else if args.dry_run {
        ctx.ui.out(rebuilt.commands.to_string());
    } else {
        let (forwards, machines) = (rebuilt.forwards, rebuilt.machines.len());
        ctx.ui.say(format!("in place: {forwards} forwards of {machines} machines"));
    }
    Ok(0)
}
