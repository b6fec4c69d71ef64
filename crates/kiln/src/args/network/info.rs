// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network info`.

use clap::Args;

/// Show a network: its addresses, who has which, and which machines are on it
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The network
    pub(crate) name: String,
    /// Print libvirt's XML of it
    #[arg(long)]
    pub(crate) xml: bool,
}
