// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns rm`.

use clap::Args;

/// Take machines' names back from their DNS server
///
/// Also those of machines that were removed while the server was not there. What others have put
/// behind a name stays.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The machines
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Ask no server, and only forget what is there: it is gone for good, or somebody else's now
    #[arg(long)]
    pub(crate) forget: bool,
    /// Print what would be taken back, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
