// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server`: one file a verb.

mod add;
mod list;
mod rm;

use crate::args::dns::server::Server;
use crate::context::Context;

/// Runs a verb; returns the exit code.
pub(crate) fn run(ctx: &Context, args: &Server) -> anyhow::Result<u8> {
    match args {
        Server::Add(args) => add::run(ctx, args),
        Server::List(_) => list::run(ctx),
        Server::Rm(args) => rm::run(ctx, args),
    }
}
