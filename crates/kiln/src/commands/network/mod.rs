// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network`: one file a verb.

mod create;
mod info;
mod list;
mod rm;
mod start;
mod stop;

use crate::args::network::Network;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Network) -> anyhow::Result<u8> {
    match args {
        Network::Create(args) => create::run(ctx, args),
        Network::List(_) => list::run(ctx),
        Network::Info(args) => info::run(ctx, args),
        Network::Start(args) => start::run(ctx, args),
        Network::Stop(args) => stop::run(ctx, args),
        Network::Rm(args) => rm::run(ctx, args),
    }
}
