// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog`: one file a verb.

pub(crate) mod add;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;
pub(crate) mod search;
pub(crate) mod sign;

use clap::Subcommand;

/// Where images come from by name: list catalogs, look into them, make one
#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    List(list::List),
    Search(search::Search),
    Info(info::Info),
    Add(add::Add),
    Rm(rm::Rm),
    Sign(sign::Sign),
}
