// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache gc`.

use kiln_spec::Bytes;
use serde_json::json;

use crate::args::cache::gc::Gc;
use crate::context::Context;

/// Removes layers until the rest takes no more than what is to be kept.
pub(crate) fn run(ctx: &Context, args: &Gc) -> anyhow::Result<u8> {
    let cache = super::existing(ctx)?;
    let removed = cache.map_or(Ok(Vec::new()), |cache| cache.collect(args.keep))?;
    if ctx.ui.json() {
        let digests: Vec<_> = removed.iter().map(|layer| &layer.digest).collect();
        ctx.ui.result(&json!({ "removed": digests }));
        return Ok(0);
    }
    let bytes = removed.iter().map(|layer| layer.bytes.0).sum();
    ctx.ui.say(format!("removed {} layers, {}", removed.len(), Bytes(bytes)));
    Ok(0)
}
