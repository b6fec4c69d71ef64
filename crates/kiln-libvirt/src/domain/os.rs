// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<os>` and `<features>`: architecture, machine type, firmware.
//! Source: <https://libvirt.org/formatdomain.html#operating-system-booting>.

use std::fmt;
use std::str::FromStr;

use crate::xml::Element;

/// A processor architecture of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// Returns libvirt's (and QEMU's) word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the machine type that Kiln chooses: PCI Express in both.
    #[must_use]
    pub const fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "q35",
            Self::Aarch64 => "virt",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An architecture that Kiln has no machines for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no architecture that machines can have (x86_64, aarch64)")]
pub struct ArchError {
    name: String,
}

impl FromStr for Arch {
    type Err = ArchError;

    fn from_str(name: &str) -> Result<Self, ArchError> {
        match name {
            "x86_64" | "amd64" => Ok(Self::X86_64),
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            name => Err(ArchError { name: name.to_owned() }),
        }
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
    let kind = Element::new("type").attr("arch", arch).attr("machine", machine).text("hvm");
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
    if arch != Arch::X86_64 {
        return features;
    }
    // Secure boot on x86 keeps its variables behind system management mode.
    let secure = firmware == Firmware::Uefi { secure_boot: true };
    features
        .child(Element::new("apic"))
        .maybe(secure.then(|| Element::new("smm").attr("state", "on")))
}
