// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle`: one file a verb.

pub(crate) mod assemble;
pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod trust;

use clap::Subcommand;

/// Make archives of whole machines, and machines of them
#[derive(Debug, Subcommand)]
pub(crate) enum Bundle {
    Create(create::Create),
    Assemble(Box<assemble::Assemble>),
    Push(push::Push),
    Pull(pull::Pull),
    Info(info::Info),
    List(list::List),
    Rm(rm::Rm),
}
