// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a machine is to be, and its XML.

use kiln_spec::{Arch, Bytes};
use uuid::Uuid;

use super::{Cpu, Disk, DiskBus, Firmware, Interface, Serial, channel, metadata, os, smbios};
use crate::connect::VirtType;
use crate::xml::Element;

/// A machine to be made.
///
/// # Examples
///
/// ```
/// use kiln_libvirt::DomainSpec;
/// use kiln_libvirt::connect::VirtType;
/// use kiln_spec::Bytes;
///
/// let spec = DomainSpec::new("web1", VirtType::Qemu, Bytes::from_gib(1), 2);
/// assert_eq!(spec.to_element().get("memory").as_deref(), Some("1048576"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSpec {
    /// Its name.
    pub name: String,
    /// Its UUID; libvirt's choice if it is not named.
    pub uuid: Option<Uuid>,
    /// A line for people.
    pub title: Option<String>,
    /// Kiln's element of the metadata, without prefix (see [`metadata`]).
    pub metadata: Option<Element>,
    /// Its memory; rounded down to KiB.
    pub memory: Bytes,
    /// Its processors.
    pub vcpus: u32,
    /// What runs it.
    pub virt_type: VirtType,
    /// Its architecture.
    pub arch: Arch,
    /// Its machine type; q35 or virt if it is not named.
    pub machine: Option<String>,
    /// The processor that the guest sees.
    pub cpu: Cpu,
    /// What starts before the boot loader.
    pub firmware: Firmware,
    /// Its disks, in order.
    pub disks: Vec<Disk>,
    /// Its network interfaces, in order.
    pub interfaces: Vec<Interface>,
    /// Its console.
    pub serial: Serial,
    /// The system's serial number in SMBIOS; QEMU's own if it is not named.
    pub system_serial: Option<String>,
    /// Whether it has a channel to a guest's agent.
    pub agent: bool,
}

impl DomainSpec {
    /// Returns a machine of this host's usual kind: x86-64 with SeaBIOS, a console without a
    /// log, a channel for the agent, no disk and no network; the processor is the host's with
    /// KVM, and all that QEMU can do otherwise.
    #[must_use]
    pub fn new(name: &str, virt_type: VirtType, memory: Bytes, vcpus: u32) -> Self {
        Self {
            name: name.to_owned(),
            uuid: None,
            title: None,
            metadata: None,
            memory,
            vcpus,
            virt_type,
            arch: Arch::Amd64,
            machine: None,
            cpu: match virt_type {
                VirtType::Kvm => Cpu::HostPassthrough,
                VirtType::Qemu => Cpu::Maximum,
                VirtType::Test => Cpu::Default,
            },
            firmware: Firmware::Bios,
            disks: Vec::new(),
            interfaces: Vec::new(),
            serial: Serial::default(),
            system_serial: None,
            agent: true,
        }
    }

    /// Returns the `<domain>` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &str, text: &str| Element::new(name).text(text);
        let metadata = self.metadata.as_ref();
        let metadata = metadata.map(|m| Element::new("metadata").child(metadata::qualified(m)));
        let machine = self.machine.as_deref().unwrap_or(os::machine(self.arch));
        Element::new("domain")
            .attr("type", self.virt_type)
            .child(text("name", &self.name))
            .maybe(self.uuid.map(|uuid| Element::new("uuid").text(uuid)))
            .maybe(self.title.as_deref().map(|title| text("title", title)))
            .maybe(metadata)
            .child(Element::new("memory").attr("unit", "KiB").text(self.memory.0 / 1024))
            .child(Element::new("vcpu").text(self.vcpus))
            .maybe(self.system_serial.as_deref().map(smbios::sysinfo))
            .child(
                os::os(self.arch, machine, self.firmware, self.serial.firmware)
                    .maybe(self.system_serial.as_ref().map(|_| smbios::mode())),
            )
            .child(os::features(self.arch, self.firmware))
            .maybe(self.cpu.to_element(self.arch))
            .child(Element::new("clock").attr("offset", "utc"))
            .child(text("on_poweroff", "destroy"))
            .child(text("on_reboot", "restart"))
            // The machine stays down, with its console log, for a person to look at.
            .child(text("on_crash", "destroy"))
            .child(self.devices())
    }

    fn devices(&self) -> Element {
        let rng = Element::new("rng")
            .attr("model", "virtio")
            .child(Element::new("backend").attr("model", "random").text("/dev/urandom"));
        // libvirt adds a controller of its own unless told not to, and firmware and guests look for
        // keyboards and sticks on it: two fifths of what SeaBIOS does under TCG (measured).
        let usb = self.disks.iter().any(|disk| disk.bus == DiskBus::Usb);
        let no_usb = || Element::new("controller").attr("type", "usb").attr("model", "none");
        Element::new("devices")
            .maybe((!usb).then(no_usb))
            .children(self.disks.iter().map(Disk::to_element))
            .children(self.interfaces.iter().map(Interface::to_element))
            .children(self.serial.to_elements())
            .maybe(self.agent.then(channel::agent))
            .child(Element::new("memballoon").attr("model", "virtio"))
            .child(rng)
    }
}
