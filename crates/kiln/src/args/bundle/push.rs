// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle push`.

use clap::Args;

/// Put a bundle onto a web server that takes files by PUT
///
/// A plain server of files is enough to give them out again. Where PUT is not allowed, copy the two
/// files there by other means.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The bundle: a name, or a path (with a `/` in it)
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: String,
    /// The file's address there, or a folder's: `https://files.example.org/bundles/`
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Sign the manifest with a key of your GnuPG keyring; a signature that is there is put, too
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<String>,
}
