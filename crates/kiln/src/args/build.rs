// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build`.

use std::path::PathBuf;

use clap::Args;

/// Build an image from a recipe, into the store
///
/// A recipe that was built before is answered from the store. Otherwise each step is carried out
/// that has no layer yet: after a change, and after a build that failed or was killed, it goes on
/// from there.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln build debian-12.yaml
  kiln build web.yaml -p suite=trixie
  kiln build web.yaml --from files
  kiln build web.yaml --shell
  kiln build debian-12.yaml --lock
  kiln build debian-12.yaml -o /srv/images
  kiln build debian-12.yaml --rebuild --json")]
pub(crate) struct Build {
    /// The recipe
    pub(crate) recipe: PathBuf,
    /// Give a parameter of the recipe a value
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// The folder for the recipe's `outputs`; the current one if nobody says
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Carry out all steps again, even if the store has the image
    #[arg(long, conflicts_with = "from")]
    pub(crate) rebuild: bool,
    /// Carry out this step again, and those after it; `--dry-run` lists them
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
    /// Build from what the mirrors have today, and write the versions and digests of all packages
    /// and archives to `RECIPE.lock`, which later builds keep to
    #[arg(long, conflicts_with_all = ["rebuild", "from", "dry_run"])]
    pub(crate) lock: bool,
    /// Open a shell on the tree of the step that failed, as that step left it
    ///
    /// It runs as the tree's root, in namespaces as the step did. The tree is gone afterwards.
    #[arg(long, conflicts_with_all = ["rebuild", "from", "dry_run", "lock", "output", "timings"])]
    pub(crate) shell: bool,
    /// Print what would be built, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show how long each stage took
    #[arg(long)]
    pub(crate) timings: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE".into()),
    }
}
