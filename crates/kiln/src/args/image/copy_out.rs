// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image copy-out`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::target::Source;

/// Copy files and folders of an image to a folder here
///
/// Set-id bits, owners, devices and pipes are left behind, and so are links that lead out of what
/// is copied. Nothing is ever written outside of the folder.
#[derive(Debug, Args)]
pub(crate) struct CopyOut {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The files and folders, in the guest
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,
    /// The folder here; it must be there
    #[arg(short = 'C', long = "to", value_name = "FOLDER", default_value = ".")]
    pub(crate) to: PathBuf,
    /// Make links, too, that lead out of what is copied
    #[arg(long)]
    pub(crate) all_links: bool,
}
