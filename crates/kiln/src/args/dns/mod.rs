// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns`: one file a verb.

pub(crate) mod list;
pub(crate) mod rm;
pub(crate) mod server;
pub(crate) mod update;

use clap::Subcommand;

/// Put machines' names into a DNS server, by signed updates (RFC 2136)
#[derive(Debug, Subcommand)]
pub(crate) enum Dns {
    List(list::List),
    Update(update::Update),
    Rm(rm::Rm),
    #[command(subcommand)]
    Server(server::Server),
}
