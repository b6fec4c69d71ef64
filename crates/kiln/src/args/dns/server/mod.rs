// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server`: one file a verb.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod rm;

use clap::Subcommand;

/// The DNS servers that this client knows, with their keys
#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    Add(add::Add),
    List(list::List),
    Rm(rm::Rm),
}
