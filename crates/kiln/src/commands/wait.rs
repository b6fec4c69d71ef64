// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln wait`.

use serde_json::json;

use super::launch::{ready_json, show_timings, tell_ready};
use crate::args::wait::{Until, Wait};
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::timings::Timings;
use crate::machine::{host, ready};

/// Waits for a machine.
pub(crate) fn run(ctx: &Context, args: &Wait) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let mut timings = Timings::begin();
    match args.until {
        Until::Stopped => machine.await_stop(args.timeout)?,
        Until::Agent => machine.await_agent(args.timeout)?,
        Until::Ready => {
            machine.meta()?;
            machine.expect_running()?;
            let task = ctx.ui.task(&machine.name);
            let ready =
                ready::wait(ctx, &machine, &task, &mut timings, (args.timeout, &args.ready))?;
            drop(task);
            tell_ready(ctx, &machine.name, &ready);
            if args.timings {
                show_timings(ctx, &timings, false);
            }
            ctx.ui.say(format!("`{}` is ready", machine.name));
            if ctx.ui.json() {
                let ready = ready_json(&ready);
                ctx.ui.result(
                    &json!({ "name": machine.name, "ready": ready, "timings": timings.json() }),
                );
            }
            return Ok(0);
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "name": machine.name }));
    }
    Ok(0)
}
