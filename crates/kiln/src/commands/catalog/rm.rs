// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog rm`.

use serde_json::json;

use super::read;
use crate::args::catalog::rm::Rm;
use crate::context::Context;

/// Removes catalogs.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let sources = read::sources(ctx);
    // Refused before the first is touched.
    for name in &args.names {
        sources.find(name)?;
    }
    for name in &args.names {
        sources.remove(name)?;
        ctx.ui.say(format!("removed catalog `{name}`"));
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "removed": args.names }));
    }
    Ok(0)
}
