// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network configurations for cloud-init: which interface gets its addresses how.
//!
//! Source: <https://docs.cloud-init.io/en/latest/reference/network-config.html>, formats of
//! version 1 and 2, as cloud-init 22.4 to 26.2 reads them.

use kiln_spec::interface::{Addressing, StaticAddresses};
use kiln_spec::mac::Mac;

use crate::yaml::{Node, emit};

/// How much worse the way by each further interface is than by the one before it.
const METRIC: usize = 100;

/// Which format a network configuration has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkVersion {
    /// That of cloud-init alone, which old releases and some distributions need.
    V1,
    /// That of netplan.
    #[default]
    V2,
}

/// Returns the configuration of interfaces, the first being that of the default route. Each gets
/// the name `eth0`, `eth1` and so on, in this order, in the guest: only by a name that is set do
/// all of cloud-init's writers (networkd, netplan, ifupdown, sysconfig) find the same interface.
#[must_use]
pub fn network_config(interfaces: &[(Mac, &Addressing)], version: NetworkVersion) -> String {
    let all = interfaces.iter().enumerate();
    emit(&match version {
        NetworkVersion::V1 => Node::map([
            ("version", Node::number(1)),
            ("config", Node::list(all.map(|(n, (mac, how))| v1(n, *mac, how)))),
        ]),
        NetworkVersion::V2 => {
            let names: Vec<String> = (0..interfaces.len()).map(|n| format!("eth{n}")).collect();
            let each = all.map(|(n, (mac, how))| (names[n].as_str(), v2(n, *mac, how)));
            Node::map([("version", Node::number(2)), ("ethernets", Node::map(each))])
        }
    })
}

fn texts<T: ToString>(all: &[T]) -> Node {
    Node::list(all.iter().map(|one| Node::text(one.to_string())))
}

fn v2(n: usize, mac: Mac, how: &Addressing) -> Node {
    let mut pairs = vec![
        ("match", Node::map([("macaddress", Node::text(mac.to_string()))])),
        ("set-name", Node::text(format!("eth{n}"))),
    ];
    match how {
        Addressing::Dhcp | Addressing::Reserved(_) => {
            pairs.push(("dhcp4", Node::boolean(true)));
            if n > 0 {
                // The first interface's way to the outside is the one that is taken.
                let metric = Node::map([("route-metric", Node::number(METRIC * (n + 1)))]);
                pairs.push(("dhcp4-overrides", metric));
            }
        }
        Addressing::Static(own) => {
            pairs.push(("addresses", texts(&own.addresses)));
            // Not as routes: cloud-init 22.4 makes `::/64` of a route to `::/0` for networkd.
            pairs.extend(own.gateways.iter().map(|gateway| {
                let key = if gateway.is_ipv4() { "gateway4" } else { "gateway6" };
                (key, Node::text(gateway.to_string()))
            }));
            if !own.dns.is_empty() {
                pairs.push(("nameservers", Node::map([("addresses", texts(&own.dns))])));
            }
        }
    }
    Node::map(pairs)
}

fn v1(n: usize, mac: Mac, how: &Addressing) -> Node {
    let subnets = match how {
        Addressing::Dhcp | Addressing::Reserved(_) => {
            vec![Node::map([("type", Node::text("dhcp4"))])]
        }
        Addressing::Static(own) => v1_subnets(own),
    };
    Node::map([
        ("type", Node::text("physical")),
        ("name", Node::text(format!("eth{n}"))),
        ("mac_address", Node::text(mac.to_string())),
        ("subnets", Node::list(subnets)),
    ])
}

fn v1_subnets(own: &StaticAddresses) -> Vec<Node> {
    let mut gateways = own.gateways.clone();
    let subnet = |(n, net): (usize, &ipnet::IpNet)| {
        let kind = if net.addr().is_ipv4() { "static" } else { "static6" };
        let mut pairs = vec![("type", Node::text(kind)), ("address", Node::text(net.to_string()))];
        if let Some(at) = gateways.iter().position(|gateway| net.contains(gateway)) {
            pairs.push(("gateway", Node::text(gateways.remove(at).to_string())));
        }
        if n == 0 && !own.dns.is_empty() {
            pairs.push(("dns_nameservers", texts(&own.dns)));
        }
        Node::map(pairs)
    };
    own.addresses.iter().enumerate().map(subnet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_spec::interface::InterfaceSpec;

    fn config(specs: &[&str], version: NetworkVersion) -> String {
        let specs: Vec<InterfaceSpec> = specs.iter().map(|text| text.parse().unwrap()).collect();
        let all: Vec<(Mac, &Addressing)> = (0_u8..)
            .zip(&specs)
            .map(|(n, spec)| (Mac::qemu([0, 0, n]), &spec.addressing))
            .collect();
        network_config(&all, version)
    }

    const BOTH: [&str; 2] =
        ["lan", "db,static=10.0.0.5/24,static=fd00::5/64,gateway=fd00::1,dns=10.0.0.1"];

    #[test]
    fn both_formats_are_written_and_are_network_configurations() {
        for version in [NetworkVersion::V1, NetworkVersion::V2] {
            let text = config(&BOTH, version);
            let nocloud = kiln_spec::Datasource::NoCloud;
            let checked = super::super::check_network_config(&text, "n", nocloud);
            assert!(checked.is_ok(), "{text}");
        }
        assert_eq!(
            config(&BOTH, NetworkVersion::V2).replace(['"', '\''], ""),
            "version: 2\nethernets:\n  eth0:\n    match:\n      macaddress: 52:54:00:00:00:00\n    \
             set-name: eth0\n    dhcp4: true\n  eth1:\n    match:\n      \
             macaddress: 52:54:00:00:00:01\n    set-name: eth1\n    addresses:\n    - 10.0.0.5/24\n    \
             - fd00::5/64\n    gateway6: fd00::1\n    nameservers:\n      addresses:\n      - 10.0.0.1\n"
        );
    }
}
