// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns update`.

use serde_json::json;

use crate::args::dns::update::Update;
use crate::commands::many;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::dns::{self, record_json};
use crate::machine::existing::Machine;
use crate::machine::host;

/// Puts names into a DNS server.
pub(crate) fn run(ctx: &Context, args: &Update) -> anyhow::Result<u8> {
    if let Some(server) = &args.server {
        dns::find(ctx, server.as_str())?;
    }
    let conn = host::connect(ctx)?;
    let machines = if args.all {
        let mut all = Machine::ours(&conn)?;
        // A server that another client has registered them with is its business.
        let known = dns::all(ctx)?;
        all.retain(|machine| machine.dns().is_some_and(|dns| known.contains(&dns.server)));
        all
    } else {
        Machine::find_all(&conn, &args.names)?
    };
    if machines.is_empty() {
        ctx.ui.say("no machine has a DNS server that is known here");
    }
    let (done, failed, code) = many::of_each(&ctx.ui, &machines, |machine| {
        machine.meta()?;
        let own = machine.dns().map(|dns| dns.server.as_str());
        let server = args.server.as_ref().map(|server| server.as_str()).or(own);
        let server = server.ok_or_else(|| no_server(&machine.name))?;
        let machine = dns::register(ctx, &conn, (machine.uuid, server))?;
        let records = machine.dns().map_or(&[][..], |dns| &dns.records);
        for record in records {
            ctx.ui.say(format!("{record}"));
        }
        let records: Vec<_> = records.iter().map(record_json).collect();
        Ok(json!({ "name": machine.name, "server": server, "records": records }))
    })?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "updated": done, "failed": failed }));
    }
    Ok(code)
}

fn no_server(name: &str) -> Problem {
    let what = format!("`{name}` has no DNS server");
    let hint = "name one: `--server SERVER`; `kiln dns server list` shows those that are known";
    Problem::new(Class::Usage, what).hint(hint)
}
