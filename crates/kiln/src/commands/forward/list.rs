// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward list`.

use std::collections::BTreeSet;

use kiln_libvirt::Connection;
use serde_json::json;

use super::json_of;
use crate::args::forward::list::List;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::forward::{self, Way};
use crate::machine::meta::Forward;
use crate::machine::{host, networks};
use crate::ui::Table;

/// What became of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It leads to the machine.
    InPlace,
    /// passt will make it.
    NextStart,
    /// Its rule is not in the packet filter.
    Missing,
    /// The machine's address is not known.
    NoAddress,
    /// Only root can see.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::NextStart => "at next start",
            Self::Missing => "missing",
            Self::NoAddress => "no address",
            Self::Unknown => "unknown",
        }
    }
}

/// Lists forwards.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = match &args.name {
        Some(name) => {
            let machine = Machine::find(&conn, name)?;
            machine.meta()?;
            vec![machine]
        }
        None => Machine::ours(&conn)?,
    };
    let rules = forward::state(ctx, &conn)?;
    let mut table = Table::new(&["MACHINE", "HOST", "LEADS TO", "STATE"]);
    let (mut all, mut missing, mut unknown) = (Vec::new(), false, false);
    for machine in &machines {
        let forwards = machine.meta.as_ref().map_or(&[][..], |meta| &meta.forwards);
        if forwards.is_empty() {
            continue;
        }
        let (way, addresses) = (forward::find_way(machine).ok(), addresses(&conn, machine)?);
        for forward in forwards {
            let state = state(machine, forward, (way, &addresses), rules.as_ref())?;
            missing |= state == State::Missing;
            unknown |= state == State::Unknown;
            let mut one = json_of(&machine.name, forward);
            one["addresses"] = json!(addresses);
            one["by"] = json!(if way == Some(Way::Passt) { "passt" } else { "nftables" });
            one["state"] = json!(state.word().replace(' ', "-"));
            all.push(one);
            let ip = addresses.first().cloned().unwrap_or_default();
            let shown = if ip.is_empty() {
                format!("port {}", forward.to)
            } else {
                format!("{ip} port {}", forward.to)
            };
            let row = [machine.name.clone(), forward.to_string(), shown, state.word().to_owned()];
            table.row(row.to_vec());
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "host": conn.uri().to_string(), "forwards": all }));
        return Ok(0);
    }
    if all.is_empty() {
        ctx.ui.say("no forwards; `kiln forward add NAME 2201:22` makes one");
        return Ok(0);
    }
    table.lines().iter().for_each(|line| ctx.ui.out(line));
    if missing {
        ctx.ui.warn("something has flushed the packet filter: `kiln forward restore`");
    }
    if unknown {
        ctx.ui.say("only root on the host can see whether the rules are in place");
    }
    Ok(0)
}

/// Returns where the machine's forwards lead, in the packet filter.
fn addresses(conn: &Connection, machine: &Machine) -> anyhow::Result<Vec<String>> {
    let (Some((network, mac)), Some(meta)) = (forward::place(machine), &machine.meta) else {
        return Ok(Vec::new());
    };
    let Ok(network) = networks::find(conn, &network) else { return Ok(Vec::new()) };
    let all = forward::targets(&network.xml()?, mac, meta);
    Ok(all.into_iter().map(|target| target.ip.to_string()).collect())
}

fn state(
    machine: &Machine,
    forward: &Forward,
    (way, addresses): (Option<Way>, &[String]),
    rules: Option<&BTreeSet<String>>,
) -> anyhow::Result<State> {
    if way == Some(Way::Passt) {
        // What passt was told when it was started.
        let now = machine.now()?;
        let has = now.is_some_and(|now| {
            let ports = now.interfaces().into_iter().flat_map(|i| i.forwards());
            let wanted = forward::of_passt(forward);
            ports.into_iter().any(|port| port == wanted)
        });
        return Ok(if has { State::InPlace } else { State::NextStart });
    }
    if addresses.is_empty() {
        return Ok(State::NoAddress);
    }
    Ok(match rules {
        None => State::Unknown,
        Some(rules) if rules.contains(&forward::comment(&machine.name, forward)) => State::InPlace,
        Some(_) => State::Missing,
    })
}
