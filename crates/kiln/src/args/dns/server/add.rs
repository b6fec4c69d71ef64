// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln dns server add`.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use kiln_spec::network::DomainName;
use kiln_spec::{DnsAddress, DnsServerName};

/// Make a DNS server known that takes updates (RFC 2136) signed with a key (TSIG)
///
/// It is the primary of the zone: BIND, Knot, PowerDNS. Kiln keeps a copy of the key, for you alone,
/// and asks the server whether it takes it.
#[derive(Debug, Args)]
#[command(after_long_help = "EXAMPLES
  tsig-keygen kiln > kiln.key          on the server, which includes it
  kiln dns server add lab --address ns1.example --zone lab.example --tsig-file kiln.key
  kiln dns server add lab --address 10.0.0.1 --zone lab.example --tsig-file kiln.key --reverse")]
pub(crate) struct Add {
    /// What it is called here
    pub(crate) name: DnsServerName,
    /// Its name or address, and its port if that is not 53
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) address: DnsAddress,
    /// The zone of the machines' names
    #[arg(long, value_parser = zone)]
    pub(crate) zone: DomainName,
    /// The key: a file with `key "NAME" { algorithm …; secret "…"; };`, as tsig-keygen writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) tsig_file: PathBuf,
    /// Have addresses lead back to names (PTR), in zones that the server has
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Put addresses of this network there only (repeatable); without it all of a machine's
    #[arg(long, value_name = "ADDRESS/BITS")]
    pub(crate) subnet: Vec<IpNet>,
    /// How long others keep what they are told, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=604_800))]
    pub(crate) ttl: u32,
    /// Do not ask the server whether it takes the key
    #[arg(long)]
    pub(crate) no_check: bool,
}

/// Reads a zone, which may have a dot at its end.
fn zone(text: &str) -> Result<DomainName, String> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    bare.to_ascii_lowercase().parse().map_err(|error: kiln_spec::word::WordError| error.to_string())
}
