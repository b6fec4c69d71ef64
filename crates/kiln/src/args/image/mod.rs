// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image`: one file a verb.

pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod rm;
pub(crate) mod target;

use clap::Subcommand;

/// List, show and remove the images of the store
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    List(list::List),
    Info(info::Info),
    Rm(rm::Rm),
}
