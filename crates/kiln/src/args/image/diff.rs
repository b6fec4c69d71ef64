// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image diff`.

use std::ffi::OsString;

use clap::Args;

use super::target::Opening;

/// Compare the files of two images
///
/// Shows what was added, removed and changed: kind, permissions, owner, contents, links, extended
/// attributes. The exit code is 1 if the two differ.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first image: a file, or a name of the store
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The second image
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// The folder that is compared
    #[arg(default_value = "/")]
    pub(crate) path: OsString,
    /// Compare the times of change, too
    #[arg(long)]
    pub(crate) times: bool,
    #[command(flatten)]
    pub(crate) opening: Opening,
}
