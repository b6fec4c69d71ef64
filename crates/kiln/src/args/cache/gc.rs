// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln cache gc`.

use clap::Args;
use kiln_spec::Bytes;

/// Remove layers until the rest takes no more than a size
///
/// Those that were not used for the longest time go first, and never one that another layer
/// stands on or that a build uses.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln cache gc
  kiln cache gc --keep 0
  kiln cache gc --downloads")]
pub(crate) struct Gc {
    /// What the layers may take together
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) keep: Bytes,
    /// Also remove what builds downloaded and keep for one another, unless one uses it now
    #[arg(long)]
    pub(crate) downloads: bool,
}

/// A size with its unit, or 0.
fn size(text: &str) -> Result<Bytes, kiln_spec::size::SizeError> {
    if text == "0" { Ok(Bytes(0)) } else { text.parse() }
}
