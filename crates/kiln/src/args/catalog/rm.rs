// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog rm`.

use clap::Args;

/// Remove catalogs that `kiln catalog add` added; images pulled from them stay
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The catalogs' names
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}
