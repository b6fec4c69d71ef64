// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln stop`.

use serde_json::json;

use super::many;
use crate::args::stop::Stop;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::machine::life::Stopped;

/// Stops machines; one that is off already is fine.
pub(crate) fn run(ctx: &Context, args: &Stop) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    let (done, failed, code) = many::of_each(&ctx.ui, &machines, |machine| {
        let how = machine.stop(ctx, args.how)?;
        say(ctx, &machine.name, how);
        Ok(json!({ "name": machine.name, "how": how.word() }))
    })?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "stopped": done, "failed": failed }));
    }
    Ok(code)
}

/// Says how a machine was stopped.
pub(crate) fn say(ctx: &Context, name: &str, how: Stopped) {
    match how {
        Stopped::Already => ctx.ui.say(format!("`{name}` is off already")),
        Stopped::ByGuest => ctx.ui.say(format!("`{name}` has shut down")),
        Stopped::Hard => ctx.ui.say(format!("`{name}` was switched off")),
        Stopped::HardAfterTimeout => {
            ctx.ui.warn(format!("`{name}` did not shut down in time and was switched off"));
        }
    }
}
