// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln plan`.

use clap::Args;

use super::set::{Allow, SetFile};

/// Show what `kiln up` would do, and do nothing
///
/// Compares the networks, pools and machines of the file with those of the host. Each line is one
/// thing to do: `+` makes, `~` changes, `-` removes, `!` differs and is not changed. What is not
/// done without an option says which.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln plan
  kiln plan shop.yaml --prune
  kiln plan shop.yaml --json")]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) set: SetFile,
    #[command(flatten)]
    pub(crate) allow: Allow,
}
