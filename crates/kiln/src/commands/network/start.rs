// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network start`.

use serde_json::json;

use crate::args::network::start::Start;
use crate::context::Context;
use crate::machine::{host, networks};

/// Starts networks.
pub(crate) fn run(ctx: &Context, args: &Start) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let found: Vec<_> =
        args.names.iter().map(|name| networks::find(&conn, name)).collect::<Result<_, _>>()?;
    let mut started = Vec::new();
    for network in &found {
        match network.start() {
            Ok(()) => {
                ctx.ui.say(format!("network `{}` is up", network.name()));
                started.push(json!({ "name": network.name(), "was": "inactive" }));
            }
            Err(error) if error.is_operation_invalid() && network.is_active()? => {
                ctx.ui.say(format!("network `{}` is up already", network.name()));
                started.push(json!({ "name": network.name(), "was": "active" }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "started": started }));
    }
    Ok(0)
}
