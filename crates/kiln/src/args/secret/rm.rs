// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln secret rm`.

use clap::Args;

/// Remove secrets that no pool and no machine uses
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The secrets, by their names or UUIDs
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
