// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln man`.

use std::path::PathBuf;

use clap::Args;

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder; made when it is missing
    pub(crate) folder: PathBuf,
}
