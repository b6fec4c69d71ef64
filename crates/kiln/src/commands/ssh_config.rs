// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln ssh-config`.

use serde_json::json;

use crate::args::ssh_config::SshConfig;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;

/// Prints an ssh_config(5) of machines.
pub(crate) fn run(ctx: &Context, args: &SshConfig) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = if args.names.is_empty() {
        Machine::ours(&conn)?
    } else {
        Machine::find_all(&conn, &args.names)?
    };
    let mut parts = Vec::new();
    for machine in &machines {
        match machine.route(ctx)? {
            Some(route) => parts.push(route.config()),
            None => ctx.ui.say(format!("`{}` has no address and is left out", machine.name)),
        }
    }
    let text = parts.join("\n");
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "ssh_config": text }));
    } else if !text.is_empty() {
        ctx.ui.out(text.trim_end());
    }
    Ok(0)
}
