// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns list`.

use kiln_dns::Record;
use serde_json::{Value, json};

use crate::args::dns::list::List;
use crate::context::Context;
use crate::machine::dns::{self, Dns, record_json};
use crate::machine::existing::Machine;
use crate::machine::host;
use crate::ui::Table;

/// Lists names.
pub(crate) fn run(ctx: &Context, args: &List) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let uri = conn.uri().to_string();
    let mut machines = Machine::ours(&conn)?;
    let here: Vec<_> = machines.iter().map(|machine| machine.uuid).collect();
    // What a machine that is there once left is its own again.
    let mut left = dns::all_left(ctx)?;
    left.retain(|left| !here.contains(&left.uuid));
    if let Some(name) = &args.name {
        left.retain(|left| left.machine == *name);
        machines.retain(|machine| machine.name == *name);
        if left.is_empty() && machines.is_empty() {
            // Its error names those that there are.
            Machine::find(&conn, name)?.meta()?;
        }
    }
    let mut table = Table::new(&["MACHINE", "NAME", "TYPE", "DATA", "SERVER", "STATE"]);
    let mut all = Vec::new();
    let mut add = |machine: &str, host: &str, dns: &Dns, state: &str| {
        for record in &dns.records {
            all.push(json_of((machine, host, state), &dns.server, record));
            let (name, data) = (record.name.clone(), record.data.to_string());
            let kind = record.data.word().to_owned();
            let server = dns.server.clone();
            table.row(vec![machine.to_owned(), name, kind, data, server, state.to_owned()]);
        }
    };
    let mut waiting = Vec::new();
    for machine in &machines {
        let Some(dns) = machine.dns() else { continue };
        add(&machine.name, &uri, dns, "registered");
        if dns.records.is_empty() {
            waiting.push(machine.name.as_str());
        }
    }
    left.iter().for_each(|left| add(&left.machine, &left.host, &left.dns, "left"));
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "host": uri, "records": all, "waiting": waiting }));
        return Ok(0);
    }
    if all.is_empty() && waiting.is_empty() {
        ctx.ui.say("no names in DNS; `kiln dns update NAME --server SERVER` puts one there");
        return Ok(0);
    }
    if !all.is_empty() {
        table.lines().iter().for_each(|line| ctx.ui.out(line));
    }
    for name in waiting {
        ctx.ui.warn(format!("`{name}` has no name in DNS yet: `kiln dns update {name}`"));
    }
    if let Some(one) = left.first() {
        let how = format!("`kiln dns rm {}` tries again", one.machine);
        ctx.ui.warn(format!("machines that are gone have left names in DNS; {how}"));
    }
    Ok(0)
}

fn json_of((machine, host, state): (&str, &str, &str), server: &str, record: &Record) -> Value {
    let mut json = record_json(record);
    json["machine"] = json!(machine);
    json["host"] = json!(host);
    json["server"] = json!(server);
    json["state"] = json!(state);
    json
}
