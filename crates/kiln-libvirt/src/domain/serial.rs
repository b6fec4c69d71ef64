// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<serial>` and `<console>`.
//! Source: <https://libvirt.org/formatdomain.html#consoles-serial-parallel-channel-devices>.

use crate::xml::{Element, xml_view};

/// The serial port that is the machine's console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serial {
    /// The file on the host that keeps all that the guest writes; appended to, also over
    /// restarts. virtlogd writes it: for `qemu:///system` it belongs to root and nobody else
    /// may read it.
    pub log: Option<String>,
    /// Whether SeaBIOS writes here, too, and with it each boot loader that writes to the BIOS's
    /// screen: a disk that cannot be booted from is then told on the console. A boot loader
    /// that writes to the serial port by itself is seen twice. Nothing changes with UEFI, which
    /// writes to the serial port always.
    pub firmware: bool,
}

impl Serial {
    pub(super) fn to_elements(&self) -> [Element; 2] {
        let log = self.log.as_ref();
        let log = log.map(|file| Element::new("log").attr("file", file).attr("append", "on"));
        [
            Element::new("serial").attr("type", "pty").maybe(log),
            Element::new("console")
                .attr("type", "pty")
                .child(Element::new("target").attr("type", "serial").attr("port", 0)),
        ]
    }
}

xml_view! {
    /// A serial port of a domain.
    SerialView {
        /// `pty`, …
        kind, set_kind: String = "@type";
        /// The pseudo-terminal on the host, of a running domain.
        path, set_path: String = "source/@path";
        /// The file that keeps what the guest writes.
        log, set_log: String = "log/@file";
    }
}
