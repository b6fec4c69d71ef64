// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network start`.

use clap::Args;

/// Start networks
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The networks
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
