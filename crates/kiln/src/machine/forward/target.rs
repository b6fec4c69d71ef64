// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a forward leads: the addresses that are known of a machine on the network of its first
//! interface.

use std::net::IpAddr;

use ipnet::IpNet;
use kiln_libvirt::network::{IpView, NetworkView};
use kiln_spec::mac::Mac;

use crate::machine::meta::Meta;

/// An address that forwards lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The machine's address.
    pub(crate) ip: IpAddr,
    /// The host's own address on the same network.
    pub(crate) host: IpAddr,
    /// The network's addresses.
    pub(crate) net: IpNet,
}

/// Returns the machine's addresses on a network, at most one of IPv4 and one of IPv6: what the
/// network reserves for it now, or what it was told, or else what was reserved when it was made.
pub(crate) fn targets(view: &NetworkView, mac: Mac, meta: &Meta) -> Vec<Target> {
    let ips = view.ips();
    let text = mac.to_string();
    let now = ips.iter().flat_map(IpView::dhcp_hosts).filter(|host| host.mac == Some(mac));
    let own = meta.addresses.iter().filter(|own| own.mac == text).map(|own| own.ip);
    let made = meta.reservations.iter().filter(|r| r.mac == text).filter_map(|r| r.ip.parse().ok());
    let all: Vec<IpAddr> = now.map(|host| host.ip).chain(own).chain(made).collect();
    let first = |six: bool| {
        let target = |ip: &IpAddr| {
            let of = ips.iter().find(|of| of.net().is_some_and(|net| net.contains(ip)))?;
            Some(Target { ip: *ip, host: of.address()?, net: of.net()? })
        };
        all.iter().filter(|ip| ip.is_ipv6() == six).find_map(target)
    };
    [first(false), first(true)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::meta::tests::sample;
    use crate::machine::meta::{OwnAddress, Reservation};
    use kiln_libvirt::xml::Element;

    const MAC: &str = "52:54:00:00:00:01";

    fn found(hosts: &str, meta: &Meta) -> Vec<String> {
        let xml = format!(
            "<network><ip address='192.168.122.1' netmask='255.255.255.0'><dhcp>{hosts}</dhcp></ip>\
             <ip family='ipv6' address='fd00::1' prefix='64'/></network>"
        );
        let view = NetworkView(Element::parse(&xml).unwrap());
        let all = targets(&view, MAC.parse().unwrap(), meta);
        all.iter().map(|t| format!("{} in {} by {}", t.ip, t.net, t.host)).collect()
    }

    #[test]
    fn what_the_network_says_now_counts_first() {
        let mut meta = sample();
        let four = |ip: &str| format!("{ip} in 192.168.122.0/24 by 192.168.122.1");
        let now = format!("<host mac='{MAC}' ip='192.168.122.9'/>");
        assert_eq!(found(&now, &meta), [four("192.168.122.9")]);
        assert_eq!(found("", &meta), [four("192.168.122.7")]);
        meta.addresses = ["10.0.0.5", "fd00::7"]
            .map(|ip| OwnAddress { mac: MAC.into(), ip: ip.parse().unwrap() })
            .to_vec();
        let six = "fd00::7 in fd00::/64 by fd00::1".to_owned();
        assert_eq!(found("", &meta), [four("192.168.122.7"), six]);
    }

    #[test]
    fn an_address_of_another_network_is_none() {
        let mut meta = sample();
        meta.reservations = vec![Reservation {
            network: "other".into(),
            mac: MAC.into(),
            ip: "10.0.0.5".into(),
            name: "web1".into(),
        }];
        meta.addresses.clear();
        assert_eq!(found("", &meta), Vec::<String>::new());
    }
}
