// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool`: one file a verb.

pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;

use clap::Subcommand;

/// Make and see the host's pools of volumes
#[derive(Debug, Subcommand)]
pub(crate) enum Pool {
    Create(Box<create::Create>),
    List(list::List),
    Info(info::Info),
    Rm(rm::Rm),
}
