// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog`: one file a verb.

mod add;
mod info;
mod list;
pub(crate) mod read;
mod rm;
mod search;
mod sign;

use crate::args::catalog::Catalog;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Catalog) -> anyhow::Result<u8> {
    match args {
        Catalog::List(_) => list::run(ctx),
        Catalog::Search(args) => search::run(ctx, args),
        Catalog::Info(args) => info::run(ctx, args),
        Catalog::Add(args) => add::run(ctx, args),
        Catalog::Rm(args) => rm::run(ctx, args),
        Catalog::Sign(args) => sign::run(ctx, args),
    }
}
