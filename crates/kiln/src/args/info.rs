// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln info`.

use clap::Args;

/// Show what there is to know about a machine
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The machine
    pub(crate) name: String,
    /// Print the domain's XML instead
    #[arg(long)]
    pub(crate) xml: bool,
}
