// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln logs`.

use clap::Args;

/// Show what a machine wrote to its console
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The machine
    pub(crate) name: String,
    /// Go on as it writes more, until it stops
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The last N lines only
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
}
