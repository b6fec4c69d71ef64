// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `netplan-mac`: free the network settings of netplan from MAC addresses.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};
use crate::yaml::{self, Node, Value};

/// What every kernel name of an Ethernet interface begins with: `eth0`, `enp1s0`, `ens3`.
const ANY: &str = "e*";
/// Sorts of devices that are there, and not made by the settings.
const SORTS: [&str; 2] = ["ethernets", "wifis"];

pub(super) const OPERATION: Operation = Operation {
    name: "netplan-mac",
    origin: Origin::Kiln,
    default: true,
    heading: "Free the settings of netplan from MAC addresses",
    documentation: "An address that an interface is given is removed: all clones would have it. \
        Settings that are bound to the interface with an address, which no clone has, are bound \
        to any Ethernet interface if there is one of them, and to the interface of their own name \
        if there are several.",
    notes: "A file that is changed loses its comments.",
    paths: &["/etc/netplan/*.yaml"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    for path in work.places(OPERATION.paths[0])? {
        let Some(text) = work.text(&path)? else { continue };
        free_file(work, &path, &text)?;
    }
    Ok(())
}

fn free_file(work: &mut Work<'_, '_>, path: &GuestPath, text: &[u8]) -> Result<(), TreeError> {
    let Some(mut settings) = str::from_utf8(text).ok().and_then(|text| yaml::load(text).ok())
    else {
        work.note(format!("`{path}` is no YAML, and was left"));
        return Ok(());
    };
    let Some(network) = value(&mut settings, "network") else { return Ok(()) };
    let bound = SORTS.iter().flat_map(|sort| devices_of(network, sort)).filter(|d| is_bound(d));
    let several = bound.count() > 1;
    let mut changed = false;
    for sort in SORTS {
        let Some(Value::Map(devices)) = value(network, sort).map(|node| &mut node.value) else {
            continue;
        };
        for (_, device) in devices {
            changed |= free(device, several);
        }
    }
    if changed {
        work.write(path, yaml::emit(&settings).as_bytes(), 0o600)?;
    }
    Ok(())
}

fn devices_of<'a>(network: &'a Node, sort: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
    let devices = network.get(sort).and_then(Node::as_map).unwrap_or_default();
    devices.iter().map(|(_, device)| device)
}

/// Returns whether a device's settings are for the interface with a MAC address.
fn is_bound(device: &Node) -> bool {
    device.get("match").is_some_and(|conditions| conditions.get("macaddress").is_some())
}

/// Frees one device's settings; returns whether something was changed.
fn free(device: &mut Node, several: bool) -> bool {
    let bound = is_bound(device);
    let mut changed = remove(device, "macaddress");
    if bound {
        changed = true;
        if several {
            remove(device, "match");
        } else if let Some(conditions) = value(device, "match") {
            remove(conditions, "macaddress");
            if conditions.as_map().is_some_and(<[_]>::is_empty) {
                *conditions = Node::map([("name", Node::text(ANY))]);
            }
        }
        remove(device, "set-name");
    }
    changed
}

fn value<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Map(pairs) = &mut node.value else { return None };
    pairs.iter_mut().find(|(k, _)| k.as_text() == Some(key)).map(|(_, value)| value)
}

fn remove(node: &mut Node, key: &str) -> bool {
    let Value::Map(pairs) = &mut node.value else { return false };
    let before = pairs.len();
    pairs.retain(|(k, _)| k.as_text() != Some(key));
    pairs.len() < before
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;
    use crate::yaml;

    fn freed(text: &str) -> Option<String> {
        let mut tree = MemoryTree::of(&[&format!("/etc/netplan/01.yaml={text}")]);
        let report = sealed(&mut tree, "netplan-mac");
        let changed = !report.done[0].edits.list.is_empty();
        changed.then(|| tree.text("/etc/netplan/01.yaml"))
    }

    #[test]
    fn one_interface_becomes_any() {
        let text = "network:\n  version: 2\n  ethernets:\n    eth0:\n      match:\n        \
            macaddress: \"52:54:00:12:34:56\"\n      set-name: eth0\n      dhcp4: true\n";
        let wanted = "network: {version: 2, ethernets: {eth0: {match: {name: 'e*'}, dhcp4: true}}}";
        let freed = freed(text).unwrap();
        assert_eq!(yaml::load(&freed).unwrap(), yaml::load(wanted).unwrap(), "{freed}");
    }

    #[test]
    fn several_interfaces_go_by_their_names() {
        let text = "network: {ethernets: {ens3: {match: {macaddress: 'a'}, set-name: x}, \
            ens4: {match: {macaddress: b}}, ens5: {macaddress: 'c', dhcp4: true}}}";
        let wanted = "network: {ethernets: {ens3: {}, ens4: {}, ens5: {dhcp4: true}}}";
        let freed = freed(text).unwrap();
        assert_eq!(yaml::load(&freed).unwrap(), yaml::load(wanted).unwrap(), "{freed}");
    }

    #[test]
    fn other_files_are_not_touched() {
        for text in ["network: {ethernets: {e: {dhcp4: true}}} # why\n", "x", ": [", ""] {
            assert_eq!(freed(text), None, "{text}");
        }
    }
}
