// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln network create`.

use clap::{Args, ValueEnum};
use ipnet::{Ipv4Net, Ipv6Net};
use kiln_spec::network::{DeviceName, DhcpRange, DnsHost, DomainName, NetworkName};

/// Make a network and start it, now and with the host
///
/// Its addresses are checked against the host's other networks and routes before anything is made.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  kiln network create lan
  kiln network create shop --subnet 192.168.101.0/24 --dhcp 192.168.101.100-192.168.101.199 --domain shop.lan
  kiln network create six --subnet 10.7.0.0/24 --subnet6 fd00:7::/64
  kiln network create office --bridge br0
  kiln network create dmz --macvtap eth1")]
pub(crate) struct Create {
    /// The network's name
    pub(crate) name: NetworkName,
    /// How machines on it reach the outside
    #[arg(long, value_enum, default_value_t = Mode::Nat, conflicts_with_all = ["bridge", "macvtap"])]
    pub(crate) mode: Mode,
    /// A bridge that the host has already: what it is connected to gives out addresses
    #[arg(long, value_name = "BRIDGE", conflicts_with = "macvtap")]
    pub(crate) bridge: Option<DeviceName>,
    /// An interface of the host that machines share; they do not reach the host itself
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) macvtap: Option<DeviceName>,
    /// Its IPv4 addresses, of which the host takes the first; `none` for none
    ///
    /// Without it: the first of 192.168.100.0/24 to 192.168.254.0/24 that is free.
    #[arg(long, value_name = "NET", value_parser = subnet)]
    pub(crate) subnet: Option<Subnet>,
    /// Its IPv6 addresses: a prefix of 64 bits, which machines make their own of
    #[arg(long, value_name = "NET")]
    pub(crate) subnet6: Option<Ipv6Net>,
    /// What DHCP gives out; without it all of `--subnet` but the host's own
    ///
    /// Addresses outside the range can still be reserved: `kiln launch --ip`.
    #[arg(long, value_name = "FIRST-LAST")]
    pub(crate) dhcp: Option<DhcpRange>,
    /// Give out no addresses
    #[arg(long, conflicts_with = "dhcp")]
    pub(crate) no_dhcp: bool,
    /// The domain of its machines' names; names in it that nobody has are not asked for outside
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<DomainName>,
    /// Another name that its DNS server answers (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub(crate) dns_host: Vec<DnsHost>,
    /// Do not start it with the host
    #[arg(long)]
    pub(crate) no_autostart: bool,
    /// Print what would be made, the XML included, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How machines reach the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Behind the host's address
    Nat,
    /// Routed by the host; others must know the way back
    Routed,
    /// Not at all: they reach each other and the host
    Isolated,
    /// Routed, with no firewall rules of libvirt's
    Open,
}

/// IPv4 addresses, or that there are to be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subnet {
    /// These.
    Net(Ipv4Net),
    /// None.
    None,
}

fn subnet(text: &str) -> Result<Subnet, String> {
    match text {
        "none" => Ok(Subnet::None),
        text => text.parse().map(Subnet::Net).map_err(|_| {
            format!("`{text}` is no network of IPv4; write it like `192.168.101.0/24`, or `none`")
        }),
    }
}
