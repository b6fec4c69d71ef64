// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server rm`.

use serde_json::json;

use crate::args::dns::server::rm::Rm;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::dns;
use crate::machine::existing::Machine;
use crate::machine::host;

/// Forgets servers.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let known = dns::all(ctx)?;
    // Refused before the first is touched. One whose file is broken can be forgotten, too.
    for name in args.names.iter().filter(|name| !known.contains(name)) {
        dns::find(ctx, name)?;
    }
    let conn = host::connect(ctx)?;
    let machines = Machine::ours(&conn)?;
    let left = dns::all_left(ctx)?;
    for name in &args.names {
        let there = machines.iter().filter(|machine| {
            machine.dns().is_some_and(|dns| dns.server == *name && !dns.records.is_empty())
        });
        let there = there.map(|machine| machine.name.as_str());
        let gone = left.iter().filter(|left| left.dns.server == *name);
        let users: Vec<String> =
            there.chain(gone.map(|left| left.machine.as_str())).map(|n| format!("`{n}`")).collect();
        if !users.is_empty() {
            let what = format!("the DNS server `{name}` has names of {}", users.join(", "));
            let hint = "`kiln dns rm` takes them back; with `--forget` they stay there";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
    }
    for name in &args.names {
        dns::remove(ctx, name)?;
        ctx.ui.say(format!("forgot the DNS server `{name}` and its key"));
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "removed": args.names }));
    }
    Ok(0)
}
