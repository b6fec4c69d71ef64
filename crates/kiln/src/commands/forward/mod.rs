// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward`: one file a verb.

mod add;
mod list;
mod restore;
mod rm;

use serde_json::{Value, json};

use crate::args::forward::Forward as Verb;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::forward::Way;
use crate::machine::meta::Forward;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Verb) -> anyhow::Result<u8> {
    match args {
        Verb::Add(args) => add::run(ctx, args),
        Verb::List(args) => list::run(ctx, args),
        Verb::Rm(args) => rm::run(ctx, args),
        Verb::Restore(args) => restore::run(ctx, args),
    }
}

/// Warns of what is not done yet: passt keeps the forwards that it was started with.
fn warn_if_later(ctx: &Context, machine: &Machine, way: Way) -> anyhow::Result<()> {
    if way == Way::Passt && machine.domain.state()?.is_active() {
        let name = &machine.name;
        let what = "runs: its forwards change at its next start";
        ctx.ui.warn(format!("`{name}` {what} (`kiln restart {name}`)"));
    }
    Ok(())
}

/// Returns a forward as `--json` shows it everywhere.
pub(crate) fn json_of(machine: &str, forward: &Forward) -> Value {
    json!({
        "machine": machine,
        "protocol": forward.protocol,
        "listen": forward.listen,
        "port": forward.port,
        "to": forward.to,
    })
}
