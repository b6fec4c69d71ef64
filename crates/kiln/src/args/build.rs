// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build`.

use std::path::PathBuf;

use clap::Args;

/// Build an image from a recipe, into the store
///
/// A recipe that was built before is answered from the store.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln build debian-12.yaml
  kiln build debian-12.yaml --rebuild --json")]
pub(crate) struct Build {
    /// The recipe
    pub(crate) recipe: PathBuf,
    /// Build again, even if the store has it
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Print what would be built, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show how long each stage took
    #[arg(long)]
    pub(crate) timings: bool,
}
