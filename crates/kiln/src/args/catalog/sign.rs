// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln catalog sign`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

/// Make a virt-builder repository of a folder of images: pack, list and sign them
///
/// Each `*.qcow2`, `*.raw` and `*.img` is packed as `*.xz` and listed in `index`; `index.asc` is the
/// same, signed, and `index.gpg` the public key. What you write into `index` is kept: names, notes,
/// aliases. An image that changed has a higher revision. Any web server can serve the folder.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group(ArgGroup::new("trust").required(true).args(["key", "unsigned"])))]
pub(crate) struct Sign {
    /// The folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// The key of your GnuPG keyring that signs: fingerprint, id or address
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Do not sign: write `index` only
    #[arg(long)]
    pub(crate) unsigned: bool,
    /// How hard xz tries: 0 is fast, 9 small
    #[arg(long, value_name = "LEVEL", default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=9))]
    pub(crate) level: u32,
    /// Offer the images as they are, without packing them
    #[arg(long, conflicts_with = "level")]
    pub(crate) no_pack: bool,
    /// Show what would be listed, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln catalog sign --key images@example.org /srv/images
    kiln catalog sign --unsigned --level 1 /srv/lab";
