// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln rm`.

use serde_json::json;

use crate::args::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::{host, undo};

/// Removes machines.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    // Refused before the first is touched.
    for machine in &machines {
        if machine.meta.is_none() && !args.foreign {
            let what = format!("kiln did not make `{}`", machine.name);
            let hint = "`--foreign` removes its definition all the same; its disks stay";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
    }
    let mut removed = Vec::new();
    for machine in &machines {
        if args.dry_run && ctx.ui.json() {
            // The JSON below says it.
        } else if args.dry_run {
            machine.to_be_removed().iter().for_each(|line| ctx.ui.out(line));
        } else if machine.meta.is_some() {
            undo::remove_machine(ctx, machine)?;
            ctx.ui.say(format!("removed `{}`", machine.name));
        } else {
            undo::remove_domain(&conn, machine.uuid)?;
            ctx.ui.say(format!("removed the definition of `{}`; its disks stay", machine.name));
        }
        removed.push(json!({ "name": machine.name, "what": machine.to_be_removed() }));
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        ctx.ui.result(&json!({ word: removed }));
    }
    Ok(0)
}
