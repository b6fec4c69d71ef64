// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln flatten`.

use clap::Args;

/// Let machines in a Ceph pool stand alone: what their disks lie over is copied into them
///
/// They may run meanwhile. Afterwards nothing of theirs hangs on the template.
#[derive(Debug, Args)]
pub(crate) struct Flatten {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
