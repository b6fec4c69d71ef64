// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward rm`.

use serde_json::json;

use super::{json_of, warn_if_later};
use crate::args::forward::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::forward::{self, Change, Way};
use crate::machine::host;
use crate::machine::meta::Forward;
use crate::machine::undo::{self, Undo};

/// Takes forwards from a machine.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let found = found(args, &machine)?;
    let name = &machine.name;
    // One whose network is gone can still be taken from it.
    let way = forward::find_way(&machine).unwrap_or(Way::Host);
    forward::check_able(ctx, &conn, way)?;
    let all: Vec<_> = found.iter().map(|forward| json_of(name, forward)).collect();
    if !args.dry_run && !found.is_empty() {
        let change = Change {
            uuid: machine.uuid,
            name: name.clone(),
            forwards: found.clone(),
            reservation: None,
        };
        undo::remove(ctx, &conn, Undo::Forwards { uri: conn.uri().to_string(), change })?;
        warn_if_later(ctx, &machine, way)?;
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        ctx.ui.result(&json!({ word: all }));
    } else if args.dry_run {
        found.iter().for_each(|f| ctx.ui.out(format!("forward of the host's port {f}")));
    } else {
        found
            .iter()
            .for_each(|f| ctx.ui.say(format!("removed the forward of the host's port {f}")));
    }
    Ok(0)
}

/// Returns the forwards that are meant.
fn found(args: &Rm, machine: &Machine) -> anyhow::Result<Vec<Forward>> {
    let all = &machine.meta()?.forwards;
    if args.all {
        return Ok(all.clone());
    }
    let mut found = Vec::new();
    for spec in &args.ports {
        let same = |f: &&Forward| f.port == spec.port && f.protocol == spec.protocol;
        let on = |f: &&Forward| args.listen.is_none() || f.listen == args.listen;
        let those: Vec<&Forward> = all.iter().filter(same).filter(on).collect();
        match those.as_slice() {
            [one] => found.push((*one).clone()),
            [] => return Err(not_there(machine, all, &spec.to_string()).into()),
            several => {
                let shown: Vec<String> = several.iter().map(|f| format!("`{f}`")).collect();
                let what = format!("`{}` has {} of these", machine.name, shown.join(", "));
                let hint = "say which by `--listen ADDRESS`";
                return Err(Problem::new(Class::Usage, what).hint(hint).into());
            }
        }
    }
    Ok(found)
}

fn not_there(machine: &Machine, all: &[Forward], port: &str) -> Problem {
    let name = &machine.name;
    let what = format!("no forward of the host's port {port} leads to `{name}`");
    let shown: Vec<String> = all.iter().map(|forward| format!("`{forward}`")).collect();
    let hint = if shown.is_empty() {
        format!("`{name}` has no forwards; `kiln forward list` shows those of all machines")
    } else {
        format!("it has {}", shown.join(", "))
    };
    Problem::new(Class::Object, what).hint(hint)
}
