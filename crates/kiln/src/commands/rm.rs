// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln rm`.

use serde_json::{Value, json};

use super::many;
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
    if args.dry_run {
        if ctx.ui.json() {
            let removed: Vec<Value> = machines.iter().map(as_json).collect();
            ctx.ui.result(&json!({ "would_remove": removed }));
        } else {
            let lines = machines.iter().flat_map(Machine::to_be_removed);
            lines.for_each(|line| ctx.ui.out(line));
        }
        return Ok(0);
    }
    let (removed, failed, code) = many::of_each(&ctx.ui, &machines, |machine| {
        let was = as_json(machine);
        if machine.meta.is_some() {
            undo::remove_machine(ctx, machine)?;
            ctx.ui.say(format!("removed `{}`", machine.name));
        } else {
            undo::remove_domain(&conn, machine.uuid)?;
            ctx.ui.say(format!("removed the definition of `{}`; its disks stay", machine.name));
        }
        Ok(was)
    })?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "removed": removed, "failed": failed }));
    }
    Ok(code)
}

fn as_json(machine: &Machine) -> Value {
    json!({ "name": machine.name, "what": machine.to_be_removed() })
}
