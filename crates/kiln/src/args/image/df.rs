// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image df`.

use clap::Args;

use super::target::Source;

/// Show how full the file systems of an image are
#[derive(Debug, Args)]
pub(crate) struct Df {
    #[command(flatten)]
    pub(crate) source: Source,
}
