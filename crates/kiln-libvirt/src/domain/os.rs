// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<os>` and `<features>`: architecture, machine type, firmware.
//! Source: <https://libvirt.org/formatdomain.html#operating-system-booting>.

use kiln_spec::Arch;

use crate::xml::Element;

/// Returns the machine type that Kiln chooses: PCI Express in both.
pub(super) const fn machine(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "q35",
        Arch::Arm64 => "virt",
    }
}

/// What starts before the boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Firmware {
    /// SeaBIOS, on x86.
    Bios,
    /// EDK II; libvirt chooses the file.
    Uefi {
        /// Whether only signed boot loaders are started.
        secure_boot: bool,
    },
}

/// Writes `<os>`; `on_serial` has SeaBIOS write to the serial port.
pub(super) fn os(arch: Arch, machine: &str, firmware: Firmware, on_serial: bool) -> Element {
    let kind = Element::new("type").attr("arch", arch.qemu()).attr("machine", machine).text("hvm");
    let os = Element::new("os");
    match firmware {
        Firmware::Bios => {
            os.child(kind).maybe(on_serial.then(|| Element::new("bios").attr("useserial", "yes")))
        }
        Firmware::Uefi { secure_boot } => {
            let feature = |name, on| {
                let word = if on { "yes" } else { "no" };
                Element::new("feature").attr("enabled", word).attr("name", name)
            };
            let features = Element::new("firmware")
                .child(feature("secure-boot", secure_boot))
                .maybe(secure_boot.then(|| feature("enrolled-keys", true)));
            os.attr("firmware", "efi").child(kind).child(features)
        }
    }
}

/// Writes `<features>`.
pub(super) fn features(arch: Arch, firmware: Firmware) -> Element {
    let features = Element::new("features").child(Element::new("acpi"));
    if arch != Arch::Amd64 {
        return features;
    }
    // Secure boot on x86 keeps its variables behind system management mode.
    let secure = firmware == Firmware::Uefi { secure_boot: true };
    features
        .child(Element::new("apic"))
        .maybe(secure.then(|| Element::new("smm").attr("state", "on")))
}
