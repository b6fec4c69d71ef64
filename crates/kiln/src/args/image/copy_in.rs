// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image copy-in`.

use clap::Args;

use super::target::Target;

/// Copy files and folders from here into an image
///
/// With permissions, times, owners by number, and links as links. All of them get there or none.
#[derive(Debug, Args)]
pub(crate) struct CopyIn {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The files and folders here
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// The folder in the guest; it must be there
    #[arg(short = 'C', long = "to", value_name = "FOLDER", default_value = "/")]
    pub(crate) to: String,
}
