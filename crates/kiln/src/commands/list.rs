// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln list`.

use kiln_libvirt::domain::State;
use serde_json::json;

use crate::args::list::List;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::ui::Table;

/// Lists the machines of the host.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = if args.all { Machine::all(&conn)? } else { Machine::ours(&conn)? };
    let mut table = Table::new(&["NAME", "STATE", "ADDRESS", "CPUS", "MEMORY", "IMAGE"]);
    let mut all = Vec::new();
    for machine in &machines {
        let Ok(state) = machine.domain.state() else { continue };
        let addresses = machine.shown_addresses(state);
        let image = machine.meta.as_ref().map_or("", |m| m.image.as_str());
        all.push(json!({
            "name": machine.name,
            "uuid": machine.uuid,
            "state": state_word(state),
            "addresses": addresses,
            "cpus": machine.cpus(),
            "memory_bytes": machine.memory().map(|m| m.0),
            "image": machine.meta.as_ref().map(|m| &m.image),
            "tags": machine.meta.as_ref().map(|m| &m.tags),
            "made_by_kiln": machine.meta.is_some(),
        }));
        table.row(vec![
            machine.name.clone(),
            state_word(state).to_owned(),
            addresses.join(", "),
            machine.cpus().map_or_else(String::new, |n| n.to_string()),
            machine.memory().map_or_else(String::new, |m| m.to_string()),
            image.to_owned(),
        ]);
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "host": conn.uri().to_string(), "machines": all }));
    } else if all.is_empty() {
        ctx.ui.say(format!("no machines on {}; `kiln launch IMAGE NAME` makes one", conn.uri()));
    } else {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    Ok(0)
}

/// Returns the word for a state.
pub(crate) fn state_word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Paused => "paused",
        State::ShuttingDown => "stopping",
        State::Off => "stopped",
        State::Crashed => "crashed",
        State::Asleep => "asleep",
        _ => "unknown",
    }
}
