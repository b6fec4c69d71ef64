// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image list`.

use clap::Args;

/// List the images of the store
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Ask the catalogs whether they have a newer one of what was pulled
    #[arg(long)]
    pub(crate) updates: bool,
}
