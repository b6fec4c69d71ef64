// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool`: one file a verb.

mod create;
mod info;
mod list;
mod rm;

use crate::args::pool::Pool;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Pool) -> anyhow::Result<u8> {
    match args {
        Pool::Create(args) => create::run(ctx, args),
        Pool::List(_) => list::run(ctx),
        Pool::Info(args) => info::run(ctx, args),
        Pool::Rm(args) => rm::run(ctx, args),
    }
}
