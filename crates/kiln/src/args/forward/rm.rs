// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward rm`.

use std::net::IpAddr;

use clap::Args;
use kiln_spec::forward::PortSpec;

/// Take forwards away
///
/// Connections that are open stay.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln forward rm web1 2201
  kiln forward rm dns1 53/udp
  kiln forward rm web1 --all")]
pub(crate) struct Rm {
    /// The machine
    pub(crate) name: String,
    /// The host's ports: `2201`, `5353/udp`
    #[arg(required_unless_present = "all", value_name = "PORT[/udp]")]
    pub(crate) ports: Vec<PortSpec>,
    /// Only those on this address of the host
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<IpAddr>,
    /// All of the machine's
    #[arg(long, conflicts_with_all = ["ports", "listen"])]
    pub(crate) all: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
