// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool rm`.

use clap::Args;

/// Take pools out of use that no machine has volumes in; the volumes themselves stay
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The pools
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
