// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward add`.

use serde_json::json;

use super::{json_of, warn_if_later};
use crate::args::forward::add::Add;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::forward::{self, Way};
use crate::machine::meta::Forward;
use crate::machine::{guard, host};

/// Adds forwards to a machine.
pub(crate) fn run(ctx: &Context, args: &Add) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    let there = &machine.meta()?.forwards;
    forward::listen_is_ours(&conn, args.listen)?;
    let mut wanted: Vec<Forward> =
        args.forwards.iter().map(|spec| Forward::new(*spec, args.listen)).collect();
    let way = forward::find_way(&machine)?;
    forward::check_able(ctx, &conn, way)?;
    let name = &machine.name;
    // Just the same is there already: so be it.
    wanted.retain(|forward| {
        let new = !there.contains(forward);
        if !new {
            ctx.ui.say(format!("the host's port {forward} leads to `{name}` already"));
        }
        new
    });
    forward::check_free(ctx, &conn, (&wanted, way), (Some(machine.uuid), &[]))?;
    let lines =
        wanted.iter().map(|f| format!("the host's port {f} leads to port {} of `{name}`", f.to));
    let all: Vec<_> = wanted.iter().map(|forward| json_of(name, forward)).collect();
    if args.dry_run {
        if ctx.ui.json() {
            ctx.ui.result(&json!({ "would_add": all }));
        } else {
            lines.for_each(|line| ctx.ui.out(line));
        }
        return Ok(0);
    }
    let mut reserved = None;
    if !wanted.is_empty() {
        reserved = forward::add(ctx, &machine, (way, &wanted))?;
        if let Some(reserved) = &reserved {
            let (ip, network) = (&reserved.ip, &reserved.network);
            ctx.ui.say(format!("reserved {ip} in network `{network}` for `{name}`"));
        }
        lines.for_each(|line| ctx.ui.say(line));
        tell(ctx, &machine, way)?;
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "added": all, "reserved": reserved.map(|r| r.ip) }));
    }
    Ok(0)
}

/// Says what the user may not expect.
fn tell(ctx: &Context, machine: &Machine, way: Way) -> anyhow::Result<()> {
    warn_if_later(ctx, machine, way)?;
    if way == Way::Host && !machine.domain.state()?.is_active() {
        ctx.ui.say(format!("`{}` is off: nobody answers until it is started", machine.name));
    }
    if way == Way::Host && !guard::is_whole() {
        ctx.ui.say(
            "after a restart of the host or its firewall: `kiln forward restore`; `kiln doctor --fix` has that done",
        );
    }
    Ok(())
}
