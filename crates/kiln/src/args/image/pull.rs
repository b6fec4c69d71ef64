// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image pull`.

use clap::Args;

/// How many connections are used at most, if nothing else is said.
pub(crate) const CONNECTIONS: u8 = 4;

/// Fetch an image from a catalog into the store
///
/// Nothing of it is seen in the store before its checksum was right. A pull that is broken off goes
/// on where it was; two of the same image share one download.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Pull {
    /// The image: NAME, or CATALOG/NAME; `kiln catalog search` lists them
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// What to call it in the store; else the catalog's name
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// For this processor; else this host's
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<String>,
    /// How many connections to use at most
    #[arg(long, value_name = "NUMBER", default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) connections: u8,
    /// Fetch it even if the store has it
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be fetched and how it is proven, and fetch no image
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const EXAMPLES: &str = "EXAMPLES
    kiln image pull debian-13
    kiln image pull --as base ours/debian-12";
