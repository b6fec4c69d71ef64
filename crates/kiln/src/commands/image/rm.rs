// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image rm`.

use serde_json::json;

use crate::args::image::rm::Rm;
use crate::context::Context;
use crate::machine::image::find_in_store;

/// Removes images from the store.
pub(crate) fn run(ctx: &Context, args: &Rm) -> anyhow::Result<u8> {
    let store = ctx.store()?;
    // Refused before the first is touched.
    for name in &args.images {
        find_in_store(ctx, name)?;
    }
    for name in &args.images {
        store.remove(name)?;
        ctx.ui.say(format!("removed image `{name}`"));
    }
    if ctx.ui.json() {
        ctx.ui.result(&json!({ "removed": args.images }));
    }
    Ok(0)
}
