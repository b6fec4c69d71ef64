// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle rm`.

use clap::Args;

/// Remove a bundle that is kept under a name
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
