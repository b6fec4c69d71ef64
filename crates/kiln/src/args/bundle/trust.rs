// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose signature a bundle from a web server must have.

use std::path::PathBuf;

use clap::Args;

/// Whose signature a bundle from a web server must have.
#[derive(Debug, Default, Args)]
pub(crate) struct Trust {
    /// A file with the public keys that may have signed the bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The fingerprint of the key that must have signed the bundle: of `--key`, or of your GnuPG keyring
    #[arg(long, value_name = "DIGITS")]
    pub(crate) fingerprint: Option<String>,
    /// Take a bundle without a signature, and say nothing about it
    #[arg(long, conflicts_with_all = ["key", "fingerprint"])]
    pub(crate) unsigned: bool,
}

impl Trust {
    /// Returns whether it says anything.
    pub(crate) fn is_given(&self) -> bool {
        self.unsigned || self.key.is_some() || self.fingerprint.is_some()
    }
}
