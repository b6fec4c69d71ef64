// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln console`.

use clap::Args;

/// Attach to a machine's serial console; Ctrl-] leaves
#[derive(Debug, Args)]
pub(crate) struct Console {
    /// The machine
    pub(crate) name: String,
    /// Take the console over from somebody else
    #[arg(long)]
    pub(crate) force: bool,
}
