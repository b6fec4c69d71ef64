// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln element list`.

use std::path::PathBuf;

use clap::Args;

/// List elements
///
/// Those that are part of Kiln, which a recipe names under `elements`; or, with --dib, those of
/// diskimage-builder in a folder, which a recipe names under `base: {dib: …}`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct List {
    /// List diskimage-builder's elements in this folder; of two with one name, that of the folder
    /// named earlier
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dib: Vec<PathBuf>,
}

const EXAMPLES: &str = "EXAMPLES
    kiln element list
    kiln element list --dib venv/lib/python3.11/site-packages/diskimage_builder/elements";
