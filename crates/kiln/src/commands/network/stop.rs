// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network stop`.

use serde_json::json;

use crate::args::network::stop::Stop;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::{host, networks};

/// Stops networks.
pub(crate) fn run(ctx: &Context, args: &Stop) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let found: Vec<_> =
        args.names.iter().map(|name| networks::find(&conn, name)).collect::<Result<_, _>>()?;
    // Refused before the first is touched.
    for network in found.iter().filter(|_| !args.force) {
        let on_it = networks::attached(&conn, network.name())?;
        let running: Vec<String> =
            on_it.into_iter().filter(|m| m.running).map(|m| format!("`{}`", m.name)).collect();
        if !running.is_empty() {
            let what = format!("network `{}` is in use by {}", network.name(), running.join(", "));
            let hint = "stop the machines, or cut them off with `--force`: they come back to it \
                        only when they start anew";
            return Err(Problem::new(Class::Object, what).hint(hint).into());
        }
    }
    let mut stopped = Vec::new();
    for network in &found {
        match network.stop() {
            Ok(()) => {
                ctx.ui.say(format!("network `{}` is down", network.name()));
                stopped.push(json!({ "name": network.name(), "was": "active" }));
            }
            Err(error) if error.is_operation_invalid() && !network.is_active()? => {
                ctx.ui.say(format!("network `{}` is down already", network.name()));
                stopped.push(json!({ "name": network.name(), "was": "inactive" }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "stopped": stopped }));
    }
    Ok(0)
}
