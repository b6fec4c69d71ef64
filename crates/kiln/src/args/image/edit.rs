// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image edit`.

use clap::Args;

use super::target::Target;

/// Edit a file of an image, with an editor or an expression
///
/// The file keeps its owner, permissions and labels. Without `--expression` it is opened in the
/// editor that VISUAL or EDITOR names.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The file, in the guest
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Apply an expression to each line: `s/old/new/`; several are done in order
    #[arg(short, long, value_name = "EXPR")]
    pub(crate) expression: Vec<String>,
}
