// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image rm`.

use clap::Args;

/// Remove images from the store; templates made of them stay in their pools
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The images' names, or the beginnings of their digests
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}
