// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of a network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::network::{
    DeviceName, DhcpRange, DnsHost, DomainName, NetworkMode, NetworkName, NetworkSpec,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NetworkFile")]
pub(super) struct Written {
    /// Its addresses, as in `10.20.0.0/24`; the host leads its machines to other nets under its own.
    #[schemars(with = "Option<String>")]
    nat: Option<Ipv4Net>,
    /// Its addresses; the host leads its machines to other nets under theirs.
    #[schemars(with = "Option<String>")]
    routed: Option<Ipv4Net>,
    /// Its addresses; nothing leads out of it.
    #[schemars(with = "Option<String>")]
    isolated: Option<Ipv4Net>,
    /// Its addresses; libvirt makes no rules for it.
    #[schemars(with = "Option<String>")]
    open: Option<Ipv4Net>,
    /// A bridge of the host.
    bridge: Option<DeviceName>,
    /// A device of the host, on which each machine has one of its own.
    macvtap: Option<DeviceName>,
    /// Its addresses of IPv6.
    #[schemars(with = "Option<String>")]
    ipv6: Option<Ipv6Net>,
    /// The addresses that are given out, `[FIRST, LAST]`; `[]` for none.
    dhcp: Option<Vec<Ipv4Addr>>,
    /// Its DNS domain.
    domain: Option<DomainName>,
    /// More names that its DNS server knows, with their addresses.
    #[serde(default)]
    hosts: BTreeMap<DomainName, IpAddr>,
}

/// A network, all of it but its name.
#[derive(Debug)]
pub(super) struct NetworkFile {
    mode: NetworkMode,
    ipv4: Option<Ipv4Net>,
    dhcp: Option<DhcpRange>,
    ipv6: Option<Ipv6Net>,
    domain: Option<DomainName>,
    hosts: Vec<DnsHost>,
}

impl<'de> Deserialize<'de> for NetworkFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Written::deserialize(from)?.read().map_err(serde::de::Error::custom)
    }
}

impl Written {
    fn read(self) -> Result<NetworkFile, String> {
        let of_net = |mode: NetworkMode, net: Option<Ipv4Net>| net.map(|net| (mode, Some(net)));
        let kinds = [
            of_net(NetworkMode::Nat, self.nat),
            of_net(NetworkMode::Routed, self.routed),
            of_net(NetworkMode::Isolated, self.isolated),
            of_net(NetworkMode::Open, self.open),
            self.bridge.map(|device| (NetworkMode::Bridge(device), None)),
            self.macvtap.map(|device| (NetworkMode::Macvtap(device), None)),
        ];
        let mut named = kinds.into_iter().flatten();
        let (Some((mode, ipv4)), None) = (named.next(), named.next()) else {
            let keys = "`nat`, `routed`, `isolated`, `open`, `bridge` and `macvtap`";
            return Err(format!("a network has one of the keys {keys}"));
        };
        let dhcp = match self.dhcp.as_deref() {
            // A net that is too small is refused by the check.
            None => ipv4.filter(|net| net.prefix_len() < 31).map(NetworkSpec::usual_range),
            Some([]) => None,
            Some([first, last]) => Some(DhcpRange { first: *first, last: *last }),
            Some(_) => return Err("`dhcp` is `[FIRST, LAST]`, or `[]` for none".to_owned()),
        };
        let hosts = self.hosts.into_iter().map(|(name, address)| DnsHost { name, address });
        let (ipv6, domain) = (self.ipv6, self.domain);
        Ok(NetworkFile { mode, ipv4, dhcp, ipv6, domain, hosts: hosts.collect() })
    }
}

impl NetworkFile {
    pub(super) fn into_spec(self, name: NetworkName) -> NetworkSpec {
        NetworkSpec {
            name,
            mode: self.mode,
            ipv4: self.ipv4,
            dhcp: self.dhcp,
            ipv6: self.ipv6,
            domain: self.domain,
            hosts: self.hosts,
        }
    }
}
