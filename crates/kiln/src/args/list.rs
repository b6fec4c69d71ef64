// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln list`.

use clap::Args;

/// List the machines of the host
#[derive(Debug, Args)]
#[command(visible_alias = "ls")]
pub(crate) struct List {
    /// Domains that Kiln did not make, too
    #[arg(short, long)]
    pub(crate) all: bool,
}
