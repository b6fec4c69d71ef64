// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image tar-in`.

use clap::Args;

use super::target::Target;

/// Unpack a tar archive into an image
///
/// Owners, permissions, times, extended attributes and links are kept. It may be compressed with
/// gzip, xz, zstd or bzip2. Nothing gets out of the folder by way of the archive.
#[derive(Debug, Args)]
pub(crate) struct TarIn {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The archive; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: String,
    /// The folder in the guest; it must be there
    #[arg(short = 'C', long = "to", value_name = "FOLDER", default_value = "/")]
    pub(crate) to: String,
}
