// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A clone's definition: its source's, with every identity new. Pure.
//!
//! What Kiln does not know is kept. What two domains cannot both have (a port, a socket, a number
//! of a vsock) is left to libvirt to choose again.

use std::collections::BTreeMap;

use kiln_libvirt::domain::{
    Disk, DiskBus, DiskFormat, DiskSource, DiskView, forget_nocloud, metadata,
};
use kiln_libvirt::xml::{Element, Node};
use kiln_spec::mac::Mac;
use uuid::Uuid;

use crate::machine::plan::ssh_forward;

/// What becomes of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is copied to this place.
    Copy(DiskSource),
    /// It is the seed: the clone has one of its own.
    Seed,
    /// It is the seed of somebody else's tool: the drive stays, empty.
    Eject,
    /// Both machines have it.
    Share,
}

/// What the clone's definition says of itself.
#[derive(Clone, Debug)]
pub(super) struct New<'a> {
    pub(super) name: &'a str,
    pub(super) uuid: Uuid,
    /// Of each interface, in order.
    pub(super) macs: &'a [Mac],
    /// Of each disk, by its name in libvirt.
    pub(super) fates: &'a BTreeMap<String, Fate>,
    /// Where the seed is.
    pub(super) seed: &'a DiskSource,
    /// The console's log's path.
    pub(super) console: &'a str,
    /// Kiln's element of the metadata.
    pub(super) meta: &'a Element,
    /// The port of the host that leads to port 22.
    pub(super) ssh_port: Option<u16>,
}

/// Returns the clone's definition.
pub(super) fn renewed(source: &Element, new: &New<'_>) -> Element {
    let mut domain = source.clone();
    domain.remove("@id");
    domain.set("name", new.name);
    domain.set("uuid", new.uuid);
    if let Some(entries) = domain.find_mut("sysinfo/system") {
        let is_uuid = |e: &&mut Element| e.attribute("name") == Some("uuid");
        entries.elements_mut().filter(is_uuid).for_each(|e| e.set_text(new.uuid.to_string()));
    }
    // It would lead to the source's seed; the clone has a drive of its own.
    forget_nocloud(&mut domain);
    if let Some(generation) = domain.find_mut("genid") {
        generation.set_text(String::new());
    }
    own_variables(&mut domain);
    metadata::replace(&mut domain, new.meta);
    let Some(devices) = domain.find_mut("devices") else { return domain };
    disks(devices, new);
    let interfaces = devices.elements_mut().filter(|e| e.name == "interface");
    interfaces.zip(new.macs).for_each(|(interface, mac)| renew_interface(interface, *mac, new));
    serial_ports(devices, new.console);
    for device in devices.elements_mut() {
        match device.name.as_str() {
            // libvirt chooses the socket by the domain's name.
            "channel" if device.attribute("type") == Some("unix") => {
                device.remove("source");
            }
            "graphics" => renew_graphics(device),
            "vsock" => {
                if let Some(number) = device.find_mut("cid") {
                    *number = Element::new("cid").attr("auto", "yes");
                }
            }
            _ => {}
        }
    }
    domain
}

/// Has libvirt choose the file of the UEFI variables by the domain's name.
fn own_variables(domain: &mut Element) {
    if let Some(variables) = domain.find_mut("os/nvram") {
        variables.nodes.clear();
        // With a type there must be a source.
        variables.remove("@type");
    }
}

fn disks(devices: &mut Element, new: &New<'_>) {
    let mut has_seed = false;
    for disk in devices.elements_mut().filter(|e| e.name == "disk") {
        let fate = disk.get("target/@dev").and_then(|target| new.fates.get(&target));
        match fate {
            Some(Fate::Copy(place)) => move_to(disk, place),
            Some(Fate::Seed) => {
                has_seed = true;
                move_to(disk, new.seed);
            }
            Some(Fate::Eject) => {
                let mut view = DiskView(disk.clone());
                view.eject();
                *disk = view.0;
            }
            Some(Fate::Share) | None => {}
        }
    }
    if !has_seed {
        let seed = own_seed(devices, new.seed);
        push_after(devices, "disk", seed);
    }
}

/// Lets a disk lie elsewhere; how the guest sees it stays.
fn move_to(disk: &mut Element, place: &DiskSource) {
    // A login that older definitions have beside the source is the old place's.
    for gone in ["source", "backingStore", "mirror", "auth"] {
        disk.remove(gone);
    }
    disk.set("@type", place.kind());
    // libvirt wants no order of the elements.
    if let Some(source) = place.to_element() {
        disk.push(source);
    }
}

/// Returns a seed for a domain that has none: on a bus that its guest has a driver for.
fn own_seed(devices: &Element, place: &DiskSource) -> Element {
    let disks: Vec<DiskView> =
        devices.find_all("disk").into_iter().cloned().map(DiskView).collect();
    let hard = |d: &&DiskView| d.device().is_none_or(|device| device.as_str() == "disk");
    let bus = disks.iter().filter(hard).find_map(DiskView::bus).unwrap_or(DiskBus::Virtio);
    let prefix = match &bus {
        DiskBus::Virtio => "vd",
        DiskBus::Other(word) if word == "ide" => "hd",
        _ => "sd",
    };
    let taken = |name: &String| disks.iter().any(|d| d.target().as_ref() == Some(name));
    // Twenty-six of one bus, all taken, are refused by libvirt.
    let name = ('a'..='z').map(|letter| [prefix, &letter.to_string()].concat());
    let name = name.into_iter().find(|name| !taken(name)).unwrap_or_default();
    let mut seed = Disk::new(&name, place.clone(), DiskFormat::Raw);
    (seed.bus, seed.readonly, seed.discard) = (bus, true, false);
    seed.to_element()
}

fn push_after(devices: &mut Element, name: &str, element: Element) {
    let last = devices.nodes.iter().rposition(|n| matches!(n, Node::Element(e) if e.name == name));
    match last {
        Some(at) => devices.nodes.insert(at + 1, Node::Element(element)),
        None => devices.push(element),
    }
}

fn renew_interface(interface: &mut Element, mac: Mac, new: &New<'_>) {
    interface.set("mac/@address", mac);
    // The device on the host, and what a switch knows the port by.
    interface.remove("target");
    interface.remove("source/@portid");
    interface.remove("virtualport/parameters/@interfaceid");
    let forwards = interface.find_all("portForward").len();
    for _ in 0..forwards {
        interface.remove("portForward");
    }
    if let Some(port) = new.ssh_port.filter(|_| forwards > 0) {
        interface.push(ssh_forward(port).to_element());
    }
}

/// Gives the first serial port the console's log, and no two domains the same file or socket.
fn serial_ports(devices: &mut Element, log: &str) {
    // libvirt makes the console anew from the serial port.
    devices.nodes.retain(|node| {
        !matches!(node, Node::Element(e) if e.name == "console"
            && e.get("target/@type").as_deref() == Some("serial"))
    });
    let mut first = true;
    let ports = ["serial", "parallel", "console"];
    for port in devices.elements_mut().filter(|e| ports.contains(&e.name.as_str())) {
        port.remove("log");
        if matches!(port.attribute("type"), Some("file" | "unix" | "tcp" | "udp" | "pipe")) {
            for gone in ["source", "protocol"] {
                while port.remove(gone) {}
            }
            port.set("@type", "pty");
        }
        if std::mem::take(&mut first) && port.name == "serial" {
            port.push(Element::new("log").attr("file", log));
        }
    }
}

fn renew_graphics(graphics: &mut Element) {
    let fixed = graphics.attribute("port").is_some_and(|port| port != "-1");
    if fixed && graphics.attribute("autoport") != Some("yes") {
        graphics.set("@autoport", "yes");
        graphics.remove("@port");
        graphics.remove("@tlsPort");
        graphics.remove("@websocket");
    }
    graphics.remove("@socket");
    for listen in graphics.elements_mut().filter(|e| e.name == "listen") {
        listen.remove("@socket");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "<domain type='qemu' id='4'><name>web1</name>\
        <uuid>00000000-0000-0000-0000-000000000001</uuid><genid>9</genid>\
        <metadata><o:x xmlns:o='urn:o'/></metadata>\
        <sysinfo><system><entry name='uuid'>1</entry><entry name='serial'>s</entry></system></sysinfo>\
        <os firmware='efi'><nvram type='file' template='/t.fd'><source file='/n/web1.fd'/></nvram></os>\
        <devices>\
        <disk type='block' device='disk'><driver name='qemu' type='raw' cache='none'/>\
        <source dev='/dev/vg/web1'/><backingStore/><target dev='vda' bus='virtio'/></disk>\
        <disk type='file' device='cdrom'><source file='/cloud.iso'/><target dev='sda' bus='sata'/></disk>\
        <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' portid='p'/>\
        <target dev='vnet3'/></interface>\
        <interface type='user'><mac address='52:54:00:00:00:02'/><portForward proto='tcp'/>\
        <portForward proto='udp'/></interface>\
        <serial type='file'><source path='/var/log/web1'/><log file='/l'/></serial>\
        <console type='file'><target type='serial' port='0'/></console>\
        <channel type='unix'><source mode='bind' path='/s/web1'/><target name='a'/></channel>\
        <graphics type='vnc' port='5901' autoport='no'/><graphics type='spice' autoport='yes'/>\
        <vsock><cid auto='no' address='3'/></vsock>\
        <tpm model='tpm-crb'/></devices></domain>";

    fn clone() -> Element {
        let source: Element = SOURCE.parse().unwrap();
        let fates =
            [("vda", Fate::Copy(DiskSource::File("/p/web2.raw".into()))), ("sda", Fate::Eject)];
        let fates = fates.map(|(name, fate)| (name.to_owned(), fate)).into();
        let meta = Element::new("machine");
        let new = New {
            name: "web2",
            uuid: Uuid::from_u128(2),
            macs: &[Mac::qemu([0, 0, 8]), Mac::qemu([0, 0, 9])],
            fates: &fates,
            seed: &DiskSource::File("/p/web2-seed.iso".into()),
            console: "/p/web2-console.log",
            meta: &meta,
            ssh_port: Some(20_000),
        };
        renewed(&source, &new)
    }

    /// Returns an element without its indentation.
    fn flat(element: &&Element) -> String {
        element.to_string().lines().map(str::trim_start).collect()
    }

    #[test]
    fn every_identity_is_new_and_the_rest_stays() {
        let clone = clone();
        let is = |path: &str, value: &str| assert_eq!(clone.get(path).as_deref(), Some(value));
        is("name", "web2");
        is("uuid", "00000000-0000-0000-0000-000000000002");
        is("genid", "");
        is("sysinfo/system/entry", "00000000-0000-0000-0000-000000000002");
        is("os/nvram", "");
        is("os/nvram/@template", "/t.fd");
        is("os/@firmware", "efi");
        is("devices/tpm/@model", "tpm-crb");
        assert!(metadata::find(&clone).is_some());
        assert_eq!(clone.find("metadata").unwrap().elements().count(), 2);
        assert!(clone.attribute("id").is_none());
        let text = clone.to_string();
        for old in ["web1", "vnet3", "portid", "5901", "cloud.iso", "00:00:01", "00:00:02"] {
            assert!(!text.contains(old), "{old}: {text}");
        }
    }

    #[test]
    fn disks_lie_elsewhere_and_a_seed_comes_to_them() {
        let clone = clone();
        let disks: Vec<String> = clone.find_all("devices/disk").iter().map(flat).collect();
        assert_eq!(
            disks,
            [
                "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>\
                 <target dev='vda' bus='virtio'/><source file='/p/web2.raw'/></disk>",
                "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>",
                "<disk type='file' device='disk'><driver name='qemu' type='raw'/>\
                 <source file='/p/web2-seed.iso'/><target dev='vdb' bus='virtio'/><readonly/></disk>",
            ]
        );
    }

    #[test]
    fn what_two_cannot_share_is_chosen_again() {
        let clone = clone();
        let devices = clone.find("devices").unwrap();
        let all = |name| devices.find_all(name).iter().map(flat).collect::<Vec<_>>();
        assert_eq!(
            all("interface")[1],
            "<interface type='user'><mac address='52:54:00:00:00:09'/>\
             <portForward proto='tcp' address='127.0.0.1'><range start='20000' to='22'/>\
             </portForward></interface>"
        );
        assert_eq!(
            all("serial"),
            ["<serial type='pty'><log file='/p/web2-console.log'/></serial>"]
        );
        assert!(all("console").is_empty());
        assert_eq!(all("channel"), ["<channel type='unix'><target name='a'/></channel>"]);
        assert_eq!(
            all("graphics"),
            ["<graphics type='vnc' autoport='yes'/>", "<graphics type='spice' autoport='yes'/>"]
        );
        assert_eq!(all("vsock"), ["<vsock><cid auto='yes'/></vsock>"]);
    }
}
