// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln pool info`.

use clap::Args;

/// Show a pool: its room, its volumes, and what hangs on each
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The pool
    pub(crate) name: String,
    /// Print libvirt's XML of it
    #[arg(long)]
    pub(crate) xml: bool,
}
