// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network stop`.

use clap::Args;

/// Stop networks that no running machine is on
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The networks
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Cut running machines off from it
    #[arg(long)]
    pub(crate) force: bool,
}
