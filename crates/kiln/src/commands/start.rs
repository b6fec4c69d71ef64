// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln start`.

use serde_json::json;

use super::many;
use crate::args::start::Start;
use crate::context::Context;
use crate::machine::existing::Machine;
use crate::machine::host;

/// Starts machines; one that runs already is fine.
pub(crate) fn run(ctx: &Context, args: &Start) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machines = Machine::find_all(&conn, &args.names)?;
    let (changed, failed, code) = many::of_each(&ctx.ui, &machines, |machine| {
        let changed = machine.start(ctx)?;
        let name = &machine.name;
        ctx.ui.say(match changed {
            true => runs(name),
            false => format!("`{name}` runs already"),
        });
        Ok(changed.then(|| machine.name.clone()))
    })?;
    if ctx.ui.json() {
        let changed: Vec<String> = changed.into_iter().flatten().collect();
        ctx.ui.result(&json!({ "started": changed, "failed": failed }));
    }
    Ok(code)
}

/// Returns what is said of a machine that was started and not waited for.
pub(super) fn runs(name: &str) -> String {
    format!("`{name}` runs; `kiln wait {name}` waits until one can log in")
}
