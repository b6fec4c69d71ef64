// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln down`.

use clap::Args;

use super::set::SetFile;

/// Remove all that a file's name owns: its machines with their disks, its networks and pools
///
/// Of the file only the name counts: what it no longer names goes, too. What others made stays; a
/// network that other machines are on and a pool that holds volumes of others stay, with an error.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln down
  kiln down shop.yaml --dry-run")]
pub(crate) struct Down {
    #[command(flatten)]
    pub(crate) set: SetFile,
    /// Print what would be removed, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
