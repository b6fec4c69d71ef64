// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache`: one file a verb.

mod gc;
mod list;

use kiln_build::workspace::{LayerCache, Sandbox};
use kiln_guest::run::resolvers;

use crate::args::cache::Cache;
use crate::context::Context;
use crate::remains;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Cache) -> anyhow::Result<u8> {
    match args {
        Cache::List(_) => list::run(ctx),
        Cache::Gc(args) => gc::run(ctx, args),
    }
}

/// Opens the cache of layers.
pub(crate) fn open(ctx: &Context) -> anyhow::Result<LayerCache> {
    let sandbox =
        Sandbox { exec: remains::exec(), resolvers: resolvers(), proxies: ctx.env.proxies.clone() };
    Ok(LayerCache::open(&ctx.sub("cache"), sandbox)?)
}

/// Opens the cache of layers if there is one.
pub(crate) fn existing(ctx: &Context) -> anyhow::Result<Option<LayerCache>> {
    if ctx.sub("cache").is_dir() { open(ctx).map(Some) } else { Ok(None) }
}
