// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image info`.

use clap::Args;

/// Show an image's manifest
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The image's name, or the beginning of its digest
    pub(crate) image: String,
}
