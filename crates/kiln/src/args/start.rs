// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln start`.

use clap::Args;

/// Start machines
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
