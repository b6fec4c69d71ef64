// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image ls`.

use std::ffi::OsString;

use clap::Args;

use super::target::Source;

/// List a folder of an image
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The folder, or a file, in the guest
    #[arg(default_value = "/")]
    pub(crate) path: OsString,
    /// Kind, permissions, owner, size and time, too
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Everything below the folder, too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}
