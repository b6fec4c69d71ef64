// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln bundle pull`.

use clap::Args;
use kiln_spec::recipe::ImageName;

use super::trust::Trust;

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
    #[command(flatten)]
    pub(crate) trust: Trust,
}
