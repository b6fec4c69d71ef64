// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only the system's libvirtd can do: a network with a DHCP server, and a machine (QEMU's
//! own network boot firmware) that asks it for the address that was reserved.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use kiln_libvirt::connect::VirtType;
use kiln_libvirt::domain::{AddressSource, Apply, Interface, InterfaceKind, XmlKind};
use kiln_libvirt::network::DhcpHost;
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, DomainSpec};
use kiln_spec::Bytes;
use kiln_spec::mac::Mac;
use kiln_testkit::{need, need_root};

/// Removes what a test made, also when it fails.
struct Leftovers<'a> {
    host: &'a Connection,
    name: &'a str,
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        // Each may be gone already, or never have been.
        if let Ok(domain) = self.host.domain(self.name) {
            let _ = domain.destroy();
            let _ = domain.undefine();
        }
        if let Ok(network) = self.host.network(self.name) {
            let _ = network.stop();
            let _ = network.undefine();
        }
    }
}

fn network(name: &str) -> Element {
    let range = Element::new("range").attr("start", "10.249.77.100").attr("end", "10.249.77.199");
    let ip = Element::new("ip").attr("address", "10.249.77.1").attr("netmask", "255.255.255.0");
    Element::new("network")
        .child(Element::new("name").text(name))
        .child(ip.child(Element::new("dhcp").child(range)))
}

#[test]
fn a_machine_gets_the_address_that_is_reserved_for_it() {
    if !need_root("the system's libvirtd") {
        return;
    }
    let host = Connection::open("qemu:///system").ok();
    if !need(host.is_some(), "the system's libvirtd") {
        return;
    }
    let host = host.unwrap();
    assert!(!host.is_session());
    let name = ["kiln-test-", &std::process::id().to_string()].concat();
    let _leftovers = Leftovers { host: &host, name: &name };
    let network = host.define_network_xml(&network(&name)).unwrap();
    network.start().unwrap();
    assert!(network.is_active().unwrap());
    let mac = Mac::qemu([0x77, 0, 1]);
    let ip: IpAddr = "10.249.77.10".parse().unwrap();
    let reserved = DhcpHost { mac: Some(mac), ip, name: Some("web1".to_owned()) };
    network.add_dhcp_host(&reserved).unwrap();
    assert!(network.add_dhcp_host(&reserved).unwrap_err().is_operation_invalid());
    assert_eq!(network.leases().unwrap(), []);

    let mut spec = DomainSpec::new(&name, VirtType::Qemu, Bytes::from_mib(64), 1);
    let mut interface = Interface::new(InterfaceKind::Network(name.clone()), Some(mac));
    interface.network_boot = true;
    let mut interface = interface.to_element();
    interface.set("boot/@order", 1);
    spec.agent = false;
    let mut xml = spec.to_element();
    xml.find_mut("devices").unwrap().push(interface);
    let domain = host.define_domain_xml(&xml).unwrap();
    domain.start().unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    let lease = loop {
        if let Some(lease) = network.leases().unwrap().into_iter().next() {
            break lease;
        }
        assert!(Instant::now() < end, "no lease");
        // A lease has no event.
        std::thread::park_timeout(Duration::from_millis(200));
    };
    assert_eq!((lease.mac, lease.address, lease.prefix), (Some(mac), ip, 24));
    assert_eq!(lease.hostname.as_deref(), Some("web1"));
    assert!(lease.expires > 1_700_000_000);
    let interfaces = domain.interfaces(AddressSource::Lease).unwrap();
    assert_eq!((interfaces[0].mac, &interfaces[0].addresses[..]), (Some(mac), &[(ip, 24)][..]));
    let view = &domain.xml(XmlKind::Active).unwrap().interfaces()[0];
    assert_eq!(Some(interfaces[0].name.clone()), view.host_device());
    assert_eq!(view.bridge(), network.xml().unwrap().bridge());
    // ARP is asked without an error, whatever the host's table holds.
    domain.interfaces(AddressSource::Arp).unwrap();
    // A device comes and goes.
    let second =
        Interface::new(InterfaceKind::Network(name.clone()), Some(Mac::qemu([0x77, 0, 2])));
    domain.attach_device(&second.to_element(), Apply::Config).unwrap();
    assert_eq!(domain.xml(XmlKind::Inactive).unwrap().interfaces().len(), 2);
    domain.detach_device(&second.to_element(), Apply::Config).unwrap();
    assert_eq!(domain.xml(XmlKind::Inactive).unwrap().interfaces().len(), 1);

    domain.destroy().unwrap();
    domain.undefine().unwrap();
    network.remove_dhcp_host(&reserved).unwrap();
    network.stop().unwrap();
    network.undefine().unwrap();
    assert!(host.network(&name).unwrap_err().is_not_found());
}
