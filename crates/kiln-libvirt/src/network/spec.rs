// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A network to be made, as libvirt's XML. Source: <https://libvirt.org/formatnetwork.html>.

use kiln_spec::network::{DhcpRange, NetworkMode, NetworkSpec};
use uuid::Uuid;

use crate::domain::metadata;
use crate::xml::Element;

/// Returns the `<network>` element of a network that has been checked
/// ([`NetworkSpec::check`]). `mark` is what Kiln is to know it by.
#[must_use]
pub fn element(spec: &NetworkSpec, uuid: Uuid, mark: &Element) -> Element {
    let q = Element::new;
    let own = spec.mode.is_libvirts();
    let domain = spec.domain.as_ref().filter(|_| own).map(|domain| {
        // What is not known there is nowhere: it is not asked for outside.
        q("domain").attr("name", domain).attr("localOnly", "yes")
    });
    q("network")
        .child(q("name").text(&spec.name))
        .child(q("uuid").text(uuid))
        .child(q("metadata").child(metadata::qualified(mark)))
        .maybe(forward(spec))
        .maybe(bridge(spec))
        .maybe(domain)
        .maybe(dns(spec))
        .maybe(ipv4(spec))
        .maybe(ipv6(spec))
}

fn forward(spec: &NetworkSpec) -> Option<Element> {
    let forward = |mode: &str| Element::new("forward").attr("mode", mode);
    match &spec.mode {
        NetworkMode::Isolated => None,
        NetworkMode::Nat => {
            // Without it libvirt routes IPv6, and nobody outside knows the way back.
            let nat6 = spec.ipv6.map(|_| Element::new("nat").attr("ipv6", "yes"));
            Some(forward("nat").maybe(nat6))
        }
        NetworkMode::Routed => Some(forward("route")),
        NetworkMode::Open => Some(forward("open")),
        NetworkMode::Bridge(_) => Some(forward("bridge")),
        NetworkMode::Macvtap(device) => {
            let device = Element::new("interface").attr("dev", device);
            // `bridge` without a `<bridge>` is macvtap: machines on one device reach each other.
            Some(forward("bridge").child(device))
        }
    }
}

fn bridge(spec: &NetworkSpec) -> Option<Element> {
    match &spec.mode {
        NetworkMode::Bridge(device) => Some(Element::new("bridge").attr("name", device)),
        NetworkMode::Macvtap(_) => None,
        // Its name is libvirt's choice. Nothing of a loop can be in it: no need to wait for one.
        _ => Some(Element::new("bridge").attr("stp", "on").attr("delay", 0)),
    }
}

fn dns(spec: &NetworkSpec) -> Option<Element> {
    let hosts = spec.hosts.iter().map(|host| {
        let name = Element::new("hostname").text(&host.name);
        Element::new("host").attr("ip", host.address).child(name)
    });
    (!spec.hosts.is_empty()).then(|| Element::new("dns").children(hosts))
}

fn ipv4(spec: &NetworkSpec) -> Option<Element> {
    let (net, gateway) = (spec.ipv4?, spec.gateway()?);
    let range = |range: DhcpRange| {
        let range = Element::new("range").attr("start", range.first).attr("end", range.last);
        Element::new("dhcp").child(range)
    };
    let ip = Element::new("ip").attr("address", gateway).attr("netmask", net.netmask());
    Some(ip.maybe(spec.dhcp.map(range)))
}

fn ipv6(spec: &NetworkSpec) -> Option<Element> {
    let (net, gateway) = (spec.ipv6?, spec.gateway6()?);
    let ip = Element::new("ip").attr("family", "ipv6").attr("address", gateway);
    Some(ip.attr("prefix", net.prefix_len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkView;

    fn spec(mode: NetworkMode) -> NetworkSpec {
        NetworkSpec {
            name: "lan".parse().unwrap(),
            mode,
            ipv4: Some("192.168.101.0/24".parse().unwrap()),
            dhcp: Some("192.168.101.100-192.168.101.199".parse().unwrap()),
            ipv6: Some("fd00:101::/64".parse().unwrap()),
            domain: Some("shop.lan".parse().unwrap()),
            hosts: vec!["db.shop.lan=192.168.101.5".parse().unwrap()],
        }
    }

    #[test]
    fn a_network_is_written_and_read_back() {
        let mark = Element::new("network").attr("by", "test");
        let xml = element(&spec(NetworkMode::Nat), Uuid::nil(), &mark);
        assert_eq!(
            xml.to_string(),
            "<network>\n  <name>lan</name>\n  <uuid>00000000-0000-0000-0000-000000000000</uuid>\n  \
             <metadata>\n    <kiln:network xmlns:kiln='urn:kiln:machine:1' by='test'/>\n  \
             </metadata>\n  <forward mode='nat'>\n    <nat ipv6='yes'/>\n  </forward>\n  \
             <bridge stp='on' delay='0'/>\n  <domain name='shop.lan' localOnly='yes'/>\n  <dns>\n    \
             <host ip='192.168.101.5'>\n      <hostname>db.shop.lan</hostname>\n    </host>\n  \
             </dns>\n  <ip address='192.168.101.1' netmask='255.255.255.0'>\n    <dhcp>\n      \
             <range start='192.168.101.100' end='192.168.101.199'/>\n    </dhcp>\n  </ip>\n  \
             <ip family='ipv6' address='fd00:101::1' prefix='64'/>\n</network>"
        );
        let view = NetworkView(xml);
        assert_eq!(view.uuid(), Some(Uuid::nil()));
        assert_eq!(view.metadata(), Some(mark));
        assert_eq!(view.dns_hosts(), [("db.shop.lan".into(), "192.168.101.5".parse().unwrap())]);
        let nets: Vec<String> = view.ips().iter().map(|ip| ip.net().unwrap().to_string()).collect();
        assert_eq!(nets, ["192.168.101.0/24", "fd00:101::/64"]);
    }

    #[test]
    fn what_the_host_has_already_is_only_named() {
        let bare = |mode| NetworkSpec {
            ipv4: None,
            dhcp: None,
            ipv6: None,
            domain: None,
            hosts: Vec::new(),
            ..spec(mode)
        };
        let text = |mode| element(&bare(mode), Uuid::nil(), &Element::new("network")).to_string();
        let bridge = text(NetworkMode::Bridge("br0".parse().unwrap()));
        assert!(
            bridge.contains("<forward mode='bridge'/>\n  <bridge name='br0'/>\n</"),
            "{bridge}"
        );
        let shared = text(NetworkMode::Macvtap("eth0".parse().unwrap()));
        assert!(
            shared.contains("<interface dev='eth0'/>") && !shared.contains("<bridge"),
            "{shared}"
        );
        assert!(!text(NetworkMode::Isolated).contains("forward"));
    }
}
