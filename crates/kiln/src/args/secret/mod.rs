// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret`: one file a verb.

pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;

use clap::Subcommand;

/// Make and see the host's secrets: the keys of Ceph users
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    Create(create::Create),
    List(list::List),
    Info(info::Info),
    Rm(rm::Rm),
}
