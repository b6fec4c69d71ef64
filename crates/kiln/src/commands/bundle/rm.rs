// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle rm`.

use serde_json::json;

use crate::args::bundle::rm::Rm;
use crate::context::Context;

/// Removes a bundle.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    super::shelf(ctx)?.remove(&args.name)?;
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "removed": args.name }));
    } else {
        ctx.ui.say(format!("bundle `{}` is gone", args.name));
    }
    Ok(0)
}
