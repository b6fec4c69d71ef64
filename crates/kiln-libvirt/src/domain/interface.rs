// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<interface>`. Source: <https://libvirt.org/formatdomain.html#network-interfaces>.

use std::net::IpAddr;

use kiln_spec::forward::Protocol;
use kiln_spec::mac::Mac;

use crate::xml::{Element, words, xml_view};

/// A port of the host that is led to a port of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The host's address that listens; every one if it is not named.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The guest's port.
    pub guest_port: u16,
}

words! {
    /// How a direct interface (macvtap) shares its device.
    DirectMode {
        /// Guests on the same device reach each other.
        Bridge = "bridge",
        /// All goes through the switch outside.
        Vepa = "vepa",
        /// Guests do not reach each other.
        Private = "private",
        /// The device is the guest's alone.
        Passthrough = "passthrough",
    }
}

/// What an interface hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceKind {
    /// A network of libvirt.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
    /// passt: the guest has the host's connections, without rights; ports come in only by
    /// forwards.
    User {
        /// The ports that come in.
        forwards: Vec<PortForward>,
    },
    /// A device of the host (macvtap).
    Direct {
        /// The device.
        device: String,
        /// How it is shared.
        mode: DirectMode,
    },
}

/// A network interface of a machine to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What it hangs on.
    pub kind: InterfaceKind,
    /// Its hardware address; libvirt's choice if it is not named.
    pub mac: Option<Mac>,
    /// The device that the guest sees.
    pub model: String,
    /// Whether the firmware can boot from it: its ROM (iPXE) costs each start a second or two,
    /// so that it is off unless a machine is to boot from the network.
    pub network_boot: bool,
}

impl Interface {
    /// Returns a virtio interface.
    #[must_use]
    pub fn new(kind: InterfaceKind, mac: Option<Mac>) -> Self {
        Self { kind, mac, model: "virtio".to_owned(), network_boot: false }
    }

    /// Returns the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let source = Element::new("source");
        let (kind, own) = match &self.kind {
            InterfaceKind::Network(name) => ("network", vec![source.attr("network", name)]),
            InterfaceKind::Bridge(name) => ("bridge", vec![source.attr("bridge", name)]),
            InterfaceKind::Direct { device, mode } => {
                ("direct", vec![source.attr("dev", device).attr("mode", mode)])
            }
            InterfaceKind::User { forwards } => {
                let backend = Element::new("backend").attr("type", "passt");
                let forwards = forwards.iter().map(PortForward::to_element);
                ("user", std::iter::once(backend).chain(forwards).collect())
            }
        };
        Element::new("interface")
            .attr("type", kind)
            .maybe(self.mac.map(|mac| Element::new("mac").attr("address", mac)))
            .children(own)
            .child(Element::new("model").attr("type", &self.model))
            .maybe((!self.network_boot).then(|| Element::new("rom").attr("enabled", "no")))
    }
}

impl PortForward {
    /// Returns the `<portForward>` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut forward = Element::new("portForward").attr("proto", self.protocol);
        if let Some(address) = self.address {
            forward = forward.attr("address", address);
        }
        let range = Element::new("range").attr("start", self.host_port);
        forward.child(range.attr("to", self.guest_port))
    }
}

xml_view! {
    /// A network interface of a domain.
    InterfaceView {
        /// `network`, `bridge`, `user`, `direct`, …
        kind, set_kind: String = "@type";
        /// Its hardware address.
        mac, set_mac: Mac = "mac/@address";
        /// The network, of an interface of type `network`.
        network, set_network: String = "source/@network";
        /// The bridge; also of a running interface of type `network`.
        bridge, set_bridge: String = "source/@bridge";
        /// The host's device, of an interface of type `direct`.
        device, set_device: String = "source/@dev";
        /// How the host's device is shared.
        mode, set_mode: DirectMode = "source/@mode";
        /// `passt`, of an interface of type `user`.
        backend, set_backend: String = "backend/@type";
        /// The device on the host (`vnet0`), of a running domain.
        host_device, set_host_device: String = "target/@dev";
        /// The device that the guest sees.
        model, set_model: String = "model/@type";
    }
}

impl InterfaceView {
    /// Returns the ports that passt leads to the guest. Ranges are taken apart. Left out are a range
    /// with exceptions, and a protocol that Kiln does not know.
    #[must_use]
    pub fn forwards(&self) -> Vec<PortForward> {
        let mut found = Vec::new();
        for forward in self.0.find_all("portForward") {
            let protocol = forward.attribute("proto").map_or(Ok(Protocol::Tcp), str::parse);
            let Ok(protocol) = protocol else { continue };
            let address = forward.attribute("address").and_then(|a| a.parse().ok());
            for range in forward.find_all("range") {
                let port = |name| range.attribute(name).and_then(|p| p.parse::<u16>().ok());
                let Some(start) = port("start") else { continue };
                if range.attribute("exclude") == Some("yes") {
                    continue;
                }
                let to = port("to").unwrap_or(start);
                for host_port in start..=port("end").unwrap_or(start) {
                    let Some(guest_port) = to.checked_add(host_port - start) else { break };
                    found.push(PortForward { protocol, address, host_port, guest_port });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let mac: Mac = "52:54:00:AB:cd:0f".parse().unwrap();
        assert_eq!(mac, Mac::qemu([0xab, 0xcd, 0x0f]));
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:0f");
        for wrong in
            ["", "52:54:00:ab:cd", "52:54:00:ab:cd:0f:11", "52:54:00:ab:cd:+f", "5:54:00:ab:cd:0f"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
        assert_eq!(
            "x".parse::<Mac>().unwrap_err().to_string(),
            "`x` is no hardware address (six hexadecimal bytes with `:` between them)"
        );
    }
}
