// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A whole domain, as the host tells it.

use kiln_spec::Bytes;
use uuid::Uuid;

use super::{ChannelView, DiskView, InterfaceView, SerialView, metadata};
use crate::xml::{Element, xml_view};

xml_view! {
    /// The XML of a domain.
    DomainXml {
        /// Its name.
        name, set_name: String = "name";
        /// Its UUID.
        uuid, set_uuid: Uuid = "uuid";
        /// A line for people.
        title, set_title: String = "title";
        /// `kvm` or `qemu`.
        virt_type, set_virt_type: String = "@type";
        /// Its number while it runs.
        id, set_id: u32 = "@id";
        /// Its processors.
        vcpus, set_vcpus: u32 = "vcpu";
        /// Its architecture.
        arch, set_arch: String = "os/type/@arch";
        /// Its machine type.
        machine, set_machine: String = "os/type/@machine";
        /// `efi` if libvirt chose a UEFI firmware.
        firmware, set_firmware: String = "os/@firmware";
        /// The file of a UEFI firmware's variables.
        nvram, set_nvram: String = "os/nvram";
        /// The emulator's path.
        emulator, set_emulator: String = "devices/emulator";
    }
}

impl DomainXml {
    /// Returns how many of its processors are there: `vcpu/@current`, else all.
    #[must_use]
    pub fn online_vcpus(&self) -> Option<u32> {
        self.0.get("vcpu/@current").and_then(|text| text.parse().ok()).or_else(|| self.vcpus())
    }

    /// Returns its memory (the most that it can have).
    #[must_use]
    pub fn memory(&self) -> Option<Bytes> {
        self.size("memory")
    }

    /// Returns the memory that it has without what its balloon takes: `currentMemory`, else all.
    #[must_use]
    pub fn current_memory(&self) -> Option<Bytes> {
        self.size("currentMemory").or_else(|| self.memory())
    }

    fn size(&self, name: &str) -> Option<Bytes> {
        let element = self.0.find(name)?;
        let number: u64 = element.content().trim().parse().ok()?;
        let unit: u64 = match element.attribute("unit").unwrap_or("KiB") {
            "b" | "bytes" => 1,
            "KB" => 1_000,
            "k" | "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "M" | "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "G" | "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(unit).map(Bytes)
    }

    /// Returns whether it starts with UEFI, chosen by libvirt or named by its file.
    #[must_use]
    pub fn is_uefi(&self) -> bool {
        self.firmware().as_deref() == Some("efi")
            || self.0.get("os/loader/@type").as_deref() == Some("pflash")
    }

    /// Returns its disks, in order.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskView> {
        self.devices("disk").map(DiskView).collect()
    }

    /// Returns its network interfaces, in order.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceView> {
        self.devices("interface").map(InterfaceView).collect()
    }

    /// Returns its serial ports, in order.
    #[must_use]
    pub fn serials(&self) -> Vec<SerialView> {
        self.devices("serial").map(SerialView).collect()
    }

    /// Returns its channels, in order.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelView> {
        self.devices("channel").map(ChannelView).collect()
    }

    /// Returns Kiln's element of the metadata, without prefix.
    #[must_use]
    pub fn metadata(&self) -> Option<Element> {
        metadata::find(&self.0)
    }

    fn devices(&self, name: &str) -> impl Iterator<Item = Element> {
        let path = ["devices", name].join("/");
        self.0.find_all(&path).into_iter().cloned().collect::<Vec<_>>().into_iter()
    }
}
