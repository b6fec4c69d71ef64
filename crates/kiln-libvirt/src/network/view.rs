// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<network>`. Source: <https://libvirt.org/formatnetwork.html>.

use std::net::IpAddr;

use ipnet::IpNet;
use kiln_spec::mac::Mac;
use uuid::Uuid;

use crate::domain::metadata;
use crate::xml::{Element, words, xml_view};

words! {
    /// How a network reaches the outside.
    ForwardMode {
        /// Behind the host's address.
        Nat = "nat",
        /// Routed by the host.
        Route = "route",
        /// Routed, with no firewall rules of libvirt's.
        Open = "open",
        /// A bridge that the host has.
        Bridge = "bridge",
    }
}

xml_view! {
    /// The XML of a network.
    NetworkView {
        /// Its name.
        name, set_name: String = "name";
        /// Its UUID.
        uuid, set_uuid: Uuid = "uuid";
        /// Its bridge on the host.
        bridge, set_bridge: String = "bridge/@name";
        /// How it reaches the outside; not at all if it is not named.
        forward_mode, set_forward_mode: ForwardMode = "forward/@mode";
        /// The interface of the host that it shares by macvtap.
        device, set_device: String = "forward/interface/@dev";
        /// The domain of its guests' names.
        domain, set_domain: String = "domain/@name";
    }
}

xml_view! {
    /// One range of addresses of a network.
    IpView {
        /// The host's own address in it.
        address, set_address: IpAddr = "@address";
        /// The length of its prefix, if it is written so.
        prefix_text, set_prefix_text: u32 = "@prefix";
        /// Its mask, if it is written so (IPv4).
        netmask, set_netmask: std::net::Ipv4Addr = "@netmask";
        /// The first address that DHCP gives away.
        dhcp_start, set_dhcp_start: IpAddr = "dhcp/range/@start";
        /// The last one.
        dhcp_end, set_dhcp_end: IpAddr = "dhcp/range/@end";
    }
}

impl NetworkView {
    /// Returns Kiln's own element of its metadata; none if Kiln did not make it, and with a
    /// libvirt before 9.7, which keeps no metadata of networks.
    #[must_use]
    pub fn metadata(&self) -> Option<Element> {
        metadata::find(&self.0)
    }

    /// Returns the names that its DNS server answers besides those of machines.
    #[must_use]
    pub fn dns_hosts(&self) -> Vec<(String, IpAddr)> {
        let hosts = self.0.find_all("dns/host").into_iter();
        let named = hosts.filter_map(|host| {
            let ip: IpAddr = host.attribute("ip")?.parse().ok()?;
            Some(host.find_all("hostname").into_iter().map(move |n| (n.content().into_owned(), ip)))
        });
        named.flatten().collect()
    }

    /// Returns its ranges of addresses.
    #[must_use]
    pub fn ips(&self) -> Vec<IpView> {
        self.0.find_all("ip").into_iter().cloned().map(IpView).collect()
    }
}

impl IpView {
    /// Returns the network of its addresses.
    #[must_use]
    pub fn net(&self) -> Option<IpNet> {
        let prefix = u8::try_from(self.prefix()?).ok()?;
        Some(IpNet::new(self.address()?, prefix).ok()?.trunc())
    }

    /// Returns the length of its prefix, however it is written.
    #[must_use]
    pub fn prefix(&self) -> Option<u32> {
        self.prefix_text().or_else(|| self.netmask().map(|mask| u32::from(mask).leading_ones()))
    }

    /// Returns whether it has DHCP.
    #[must_use]
    pub fn has_dhcp(&self) -> bool {
        self.0.find("dhcp").is_some()
    }

    /// Returns its reserved addresses. One that cannot be read is left out.
    #[must_use]
    pub fn dhcp_hosts(&self) -> Vec<DhcpHost> {
        let hosts = self.0.find_all("dhcp/host");
        hosts.into_iter().filter_map(DhcpHost::from_element).collect()
    }
}

/// An address that is reserved for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpHost {
    /// The machine's hardware address; IPv6 ones have none.
    pub mac: Option<Mac>,
    /// The address.
    pub ip: IpAddr,
    /// The name that the network's DNS knows it by.
    pub name: Option<String>,
}

impl DhcpHost {
    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut host = Element::new("host");
        if let Some(mac) = self.mac {
            host = host.attr("mac", mac);
        }
        if let Some(name) = &self.name {
            host = host.attr("name", name);
        }
        host.attr("ip", self.ip)
    }

    fn from_element(host: &Element) -> Option<Self> {
        Some(Self {
            mac: host.attribute("mac").and_then(|m| m.parse().ok()),
            ip: host.attribute("ip")?.parse().ok()?,
            name: host.attribute("name").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read() {
        let network = NetworkView(
            "<network><name>lan</name><forward mode='nat'/><bridge name='virbr1'/>
             <domain name='lan.test'/>
             <ip address='192.168.101.1' netmask='255.255.255.0'><dhcp>
             <range start='192.168.101.100' end='192.168.101.199'/>
             <host mac='52:54:00:00:00:01' name='web1' ip='192.168.101.10'/>
             <host name='broken' ip='x'/></dhcp></ip>
             <ip family='ipv6' address='fd00::1' prefix='64'/></network>"
                .parse()
                .unwrap(),
        );
        assert_eq!(network.name().as_deref(), Some("lan"));
        assert_eq!(network.bridge().as_deref(), Some("virbr1"));
        assert_eq!(network.domain().as_deref(), Some("lan.test"));
        assert_eq!(network.forward_mode(), Some(ForwardMode::Nat));
        let [v4, v6] = network.ips().try_into().unwrap();
        assert_eq!(v4.address().unwrap().to_string(), "192.168.101.1");
        assert_eq!((v4.prefix(), v4.prefix_text()), (Some(24), None));
        assert_eq!(v4.net().unwrap().to_string(), "192.168.101.0/24");
        assert_eq!(v4.netmask().unwrap().to_string(), "255.255.255.0");
        assert_eq!(v4.dhcp_start().unwrap().to_string(), "192.168.101.100");
        assert_eq!(v4.dhcp_end().unwrap().to_string(), "192.168.101.199");
        assert_eq!((v6.prefix(), v6.has_dhcp()), (Some(64), false));
        let host = DhcpHost {
            mac: Some(Mac::qemu([0, 0, 1])),
            ip: "192.168.101.10".parse().unwrap(),
            name: Some("web1".to_owned()),
        };
        assert_eq!(v4.dhcp_hosts(), std::slice::from_ref(&host));
        assert_eq!(
            host.to_element().to_string(),
            "<host mac='52:54:00:00:00:01' name='web1' ip='192.168.101.10'/>"
        );
    }
}
