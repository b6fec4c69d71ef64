// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image tar-out`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::target::Source;

/// Write a folder of an image as a tar archive
///
/// With owners as numbers, extended attributes, access control lists, links and devices, in order
/// of the names: the same folder gives the same bytes.
#[derive(Debug, Args)]
pub(crate) struct TarOut {
    #[command(flatten)]
    pub(crate) source: Source,
    /// The folder, in the guest
    #[arg(value_name = "PATH")]
    pub(crate) path: OsString,
    /// The archive; standard output if it is left out
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
