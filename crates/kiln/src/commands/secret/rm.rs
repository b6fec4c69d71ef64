// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret rm`.

use serde_json::json;

use crate::args::secret::rm::Rm;
use crate::context::Context;
use crate::machine::{host, secrets};

/// Removes secrets.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let mut found = Vec::new();
    // Refused before the first is touched.
    for name in &args.names {
        let one = secrets::find(&conn, name)?;
        secrets::refuse_used(&conn, &one)?;
        found.push(one);
    }
    for one in &found {
        let name = one.shown();
        if !args.dry_run {
            secrets::take(ctx, &conn, one)?;
            ctx.ui.say(format!("removed the secret `{name}`"));
        } else if !ctx.ui.json() {
            ctx.ui.out(format!("secret `{name}` ({})", one.uuid));
        }
    }
    if ctx.ui.json() {
        let word = if args.dry_run { "would_remove" } else { "removed" };
        let all: Vec<String> = found.iter().map(secrets::Known::shown).collect();
        ctx.ui.result(&json!({ word: all }));
    }
    Ok(0)
}
