// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln forward add`.

use std::net::IpAddr;

use clap::Args;
use kiln_spec::forward::ForwardSpec;

/// Lead ports of the host to ports of a machine
///
/// They are reached from outside, from the host itself (127.0.0.1 as well) and from other machines.
/// The machine may be off. Its address is reserved if it was not. In a session, and with
/// user-mode networking, a forward works from the machine's next start on; otherwise at once, and
/// it takes root on the host itself.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln forward add web1 2201:22
  kiln forward add web1 80:8080 443:8443
  kiln forward add dns1 53:53/udp --listen 192.168.1.5")]
pub(crate) struct Add {
    /// The machine
    pub(crate) name: String,
    /// The host's port and the machine's: `2201:22`, `5353:53/udp`
    #[arg(required = true, value_name = "PORT:PORT[/udp]")]
    pub(crate) forwards: Vec<ForwardSpec>,
    /// The address of the host that they are on; without it all of them
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<IpAddr>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
