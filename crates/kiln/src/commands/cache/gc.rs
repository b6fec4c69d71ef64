// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache gc`.

use kiln_spec::Bytes;
use serde_json::json;

use crate::args::cache::gc::Gc;
use crate::context::Context;

/// Removes layers until the rest takes no more than what is to be kept.
pub(crate) fn run(ctx: &Context, args: &Gc) -> anyhow::Result<u8> {
    let cache = super::existing(ctx)?;
    let removed = cache.as_ref().map_or(Ok(Vec::new()), |cache| cache.collect(args.keep))?;
    let cleared = match &cache {
        Some(cache) if args.downloads => cache.clear_downloads()?,
        _ => false,
    };
    if ctx.ui.json() {
        let digests: Vec<_> = removed.iter().map(|layer| &layer.digest).collect();
        ctx.ui.result(&json!({ "removed": digests, "downloads": cleared }));
        return Ok(0);
    }
    if args.downloads && cache.is_some() && !cleared {
        ctx.ui.warn("the downloads stay: a build uses them");
    }
    let bytes = removed.iter().map(|layer| layer.bytes.0).sum();
    ctx.ui.say(format!("removed {} layers, {}", removed.len(), Bytes(bytes)));
    Ok(0)
}
