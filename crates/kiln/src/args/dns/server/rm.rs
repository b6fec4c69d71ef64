// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server rm`.

use clap::Args;

/// Forget DNS servers and their keys, unless machines of the host have names there
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The servers
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
