// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln restart`.

use serde_json::json;

use crate::args::restart::Restart;
use crate::commands::{many, start, stop};
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;

/// Stops machines and starts them again.
pub(crate) fn run(ctx: &Context, args: &Restart) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    let (done, failed, code) = many::of_each(&ctx.ui, &machines, |machine| {
        let how = machine.stop(ctx, args.how)?;
        stop::say(ctx, &machine.name, how);
        machine.start(ctx)?;
        ctx.ui.say(start::runs(&machine.name));
        Ok(machine.name.clone())
    })?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "restarted": done, "failed": failed }));
    }
    Ok(code)
}
