// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns`: one file a verb.

mod list;
mod rm;
mod server;
mod update;

use crate::args::dns::Dns;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Dns) -> anyhow::Result<u8> {
    match args {
        Dns::List(args) => list::run(ctx, args),
        Dns::Update(args) => update::run(ctx, args),
        Dns::Rm(args) => rm::run(ctx, args),
        Dns::Server(args) => server::run(ctx, args),
    }
}
