// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln template`: one file a verb.

pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;

use clap::Subcommand;

/// Make and see the templates of a pool, which linked clones hang on
#[derive(Debug, Subcommand)]
pub(crate) enum Template {
    Create(create::Create),
    List(list::List),
    Info(info::Info),
    Rm(rm::Rm),
}
