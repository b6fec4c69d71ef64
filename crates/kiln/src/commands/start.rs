// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln start`.

use serde_json::json;

use crate::args::start::Start;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;

/// Starts machines; one that runs already is fine.
pub(crate) fn run(ctx: &Context, args: &Start) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    let mut changed = Vec::new();
    for machine in &machines {
        if machine.start(ctx)? {
            ctx.ui.say(format!("`{}` runs", machine.name));
            changed.push(&machine.name);
        } else {
            ctx.ui.say(format!("`{}` runs already", machine.name));
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "started": changed }));
    }
    Ok(0)
}
