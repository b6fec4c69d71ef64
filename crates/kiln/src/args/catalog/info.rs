// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog info`.

use clap::Args;

/// Show what a catalog says of an image, with its notes
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The image: NAME, or CATALOG/NAME
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// For this processor; else this host's
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<String>,
}
