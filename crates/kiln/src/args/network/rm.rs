// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network rm`.

use clap::Args;

/// Remove networks that no machine is on
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The networks
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Remove one that Kiln did not make
    #[arg(long)]
    pub(crate) foreign: bool,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
