// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln restart`.

use clap::Args;

use super::stop::How;

/// Stop machines and start them again
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) how: How,
}
