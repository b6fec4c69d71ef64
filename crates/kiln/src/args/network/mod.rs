// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network`: one file a verb.

pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;
pub(crate) mod start;
pub(crate) mod stop;

use clap::Subcommand;

/// Make and see the host's networks
#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    Create(create::Create),
    List(list::List),
    Info(info::Info),
    Start(start::Start),
    Stop(stop::Stop),
    Rm(rm::Rm),
}
