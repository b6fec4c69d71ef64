// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image inspect`.

use clap::Args;

use super::target::Source;

/// Show what is on an image: partitions, systems, kernels, packages, users
///
/// Nothing is booted and nothing mounted. With `--json` all of it; else a summary.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) source: Source,
    /// List every package, too
    #[arg(long)]
    pub(crate) packages: bool,
}
