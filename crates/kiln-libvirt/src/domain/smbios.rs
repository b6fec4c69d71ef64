// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<sysinfo>`: what the firmware tells the guest of the machine, by SMBIOS.
//! Source: <https://libvirt.org/formatdomain.html#smbios-system-information>.

use crate::xml::{Element, Node};

/// What the serial number of a system begins with that leads cloud-init to a seed: its `NoCloud`
/// reads it like a kernel's command line.
const NOCLOUD: &str = "ds=nocloud";

/// Returns the serial number by which cloud-init fetches its seed below this address, which ends
/// with `/`. Its mode is said, too: cloud-init before 23 takes `nocloud` for one that is read before
/// there is a network, and then does nothing with what it has fetched after.
#[must_use]
pub fn nocloud_serial(url: &str) -> String {
    format!("{NOCLOUD};dsmode=net;s={url}")
}

/// Writes `<sysinfo>` with the system's serial number.
pub(super) fn sysinfo(serial: &str) -> Element {
    let entry = Element::new("entry").attr("name", "serial").text(serial);
    let system = Element::new("system").child(entry);
    Element::new("sysinfo").attr("type", "smbios").child(system)
}

/// Writes the element of `<os>` that hands it to the guest.
pub(super) fn mode() -> Element {
    Element::new("smbios").attr("mode", "sysinfo")
}

/// Takes the serial number that leads to a seed out of a domain, if it has one.
pub fn forget_nocloud(domain: &mut Element) {
    let Some(system) = domain.find_mut("sysinfo/system") else { return };
    let leads = |e: &Element| {
        e.attribute("name") == Some("serial") && e.content().trim().starts_with(NOCLOUD)
    };
    system.nodes.retain(|node| !matches!(node, Node::Element(e) if leads(e)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serial_that_leads_to_a_seed_is_forgotten() {
        let mut domain = Element::new("domain").child(sysinfo(&nocloud_serial("http://a/web1/")));
        assert_eq!(
            domain.get("sysinfo/system/entry").as_deref(),
            Some("ds=nocloud;dsmode=net;s=http://a/web1/")
        );
        forget_nocloud(&mut domain);
        assert!(domain.find("sysinfo/system/entry").is_none());
        let mut domain = Element::new("domain").child(sysinfo("ABC-1"));
        forget_nocloud(&mut domain);
        assert_eq!(domain.get("sysinfo/system/entry").as_deref(), Some("ABC-1"));
    }
}
