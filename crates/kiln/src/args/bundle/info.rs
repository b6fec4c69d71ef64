// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle info`.

use clap::Args;

/// Show what is known of a bundle
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The bundle: a name, or a path (with a `/` in it)
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: String,
    /// Read all of it, and compare it with its manifest
    #[arg(long)]
    pub(crate) verify: bool,
}
