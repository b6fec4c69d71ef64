// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns update`.

use clap::Args;
use kiln_spec::DnsServerName;

/// Put machines' names into a DNS server, or the addresses that they have now behind them
///
/// A name that somebody else has is left alone.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln dns update web1 --server lab
  kiln dns update web1                 its address is another one now
  kiln dns update --all")]
pub(crate) struct Update {
    /// The machines
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// All machines of the host that have a DNS server which is known here
    #[arg(long, conflicts_with_all = ["names", "server"])]
    pub(crate) all: bool,
    /// The DNS server; without it the one that the machine has
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Option<DnsServerName>,
}
