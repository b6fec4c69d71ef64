// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward restore`.

use clap::Args;

/// Make the rules of all forwards anew, after something has flushed the packet filter
///
/// It does no harm where all is well. `kiln doctor --fix` has it done after each start of the host,
/// of its firewall and of its networks.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Print what the packet filter would be told, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
