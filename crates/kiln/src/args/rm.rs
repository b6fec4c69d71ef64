// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln rm`.

use clap::Args;

/// Remove machines with their volumes, reservations and keys; a running one is switched off
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Remove a domain that Kiln did not make: its definition only, its disks stay
    #[arg(long)]
    pub(crate) foreign: bool,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
