// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret`: one file a verb.

mod create;
mod info;
mod list;
mod rm;

use crate::args::secret::Secret;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Secret) -> anyhow::Result<u8> {
    match args {
        Secret::Create(args) => create::run(ctx, args),
        Secret::List(_) => list::run(ctx),
        Secret::Info(args) => info::run(ctx, args),
        Secret::Rm(args) => rm::run(ctx, args),
    }
}
