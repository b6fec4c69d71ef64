// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog add`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// Add a catalog: a virt-builder repository or simplestreams
///
/// Who may sign it must be said, by `--key`, by `--fingerprint` or by both; `--unsigned` takes it
/// from anybody who can change it, and every list says so. The catalog is read once before it is
/// added.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group(ArgGroup::new("trust").required(true).multiple(true).args(["key", "fingerprint", "unsigned"])))]
pub(crate) struct Add {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Its address: of an index, or of the folder that has `streams/`; https://, http:// or a path
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,
    /// A file with the public keys that may sign it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The fingerprint of the key that must have signed it: of `--key`, or of your GnuPG keyring
    #[arg(long, value_name = "DIGITS")]
    pub(crate) fingerprint: Option<String>,
    /// Take it without a signature
    #[arg(long, conflicts_with_all = ["key", "fingerprint"])]
    pub(crate) unsigned: bool,
    /// What kind it is of
    #[arg(long, value_name = "KIND", default_value = "native", value_parser = ["native", "simplestreams"])]
    pub(crate) kind: String,
    /// The proxy: `system`, `off`, or an address
    #[arg(long, value_name = "PROXY", default_value = "system")]
    pub(crate) proxy: String,
    /// Add it without reading it
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Show what would be added, and add nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln catalog add ours https://images.example/index.asc --key ours.gpg
    kiln catalog add lab /srv/images/index --unsigned
    kiln catalog add --kind simplestreams --fingerprint D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81 \\
        ubuntu https://cloud-images.ubuntu.com/releases/";
