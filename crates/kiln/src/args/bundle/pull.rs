// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle pull`.

use std::path::PathBuf;

use clap::Args;
use kiln_spec::recipe::ImageName;

/// Fetch a bundle from a web server
///
/// A fetch that broke off goes on where it ended. The bundle has its name only when its digest was
/// that of its manifest. With `--key` or `--fingerprint` the manifest must be signed; without them
/// the server is believed.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// The archive's address: `https://files.example.org/bundles/web.tar.zst`
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// The name to keep it under; without it its own
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<ImageName>,
    /// A file with the public keys that may have signed it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The fingerprint of the key that must have signed it: of `--key`, or of your GnuPG keyring
    #[arg(long, value_name = "DIGITS")]
    pub(crate) fingerprint: Option<String>,
    /// Take it without a signature, and say nothing about it
    #[arg(long, conflicts_with_all = ["key", "fingerprint"])]
    pub(crate) unsigned: bool,
}
