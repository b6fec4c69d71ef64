// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward`: one file a verb.

pub(crate) mod add;
pub(crate) mod list;
pub(crate) mod restore;
pub(crate) mod rm;

use clap::Subcommand;

/// Lead ports of the host to machines
#[derive(Debug, Subcommand)]
pub(crate) enum Forward {
    Add(add::Add),
    List(list::List),
    Rm(rm::Rm),
    Restore(restore::Restore),
}
