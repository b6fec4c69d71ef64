// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `networkd-mac`: free the settings of systemd-networkd from MAC addresses.

use super::{Operation, Origin, Run};
use crate::seal::work::{Work, lines};
use crate::tree::TreeError;

/// Keys of `[Match]` that name an address.
const BY_ADDRESS: [&[u8]; 2] = [b"MACAddress", b"PermanentMACAddress"];
/// What takes their place: any Ethernet interface.
const ANY: &[u8] = b"Type=ether\n";

pub(super) const OPERATION: Operation = Operation {
    name: "networkd-mac",
    origin: Origin::Kiln,
    default: true,
    heading: "Free the settings of systemd-networkd from MAC addresses",
    documentation: "Links that are named by their address are removed, because no clone has it. \
        Networks that are bound to an address are bound to any Ethernet interface. An address \
        that an interface is given is removed: all clones would have it.",
    notes: "",
    paths: &["/etc/systemd/network/*.link", "/etc/systemd/network/*.network"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    for path in work.places(OPERATION.paths[0])? {
        let Some(text) = work.text(&path)? else { continue };
        if of_match(&text) {
            work.remove_file(&path)?;
        } else {
            let freed = free(&text);
            if freed != text {
                work.write(&path, &freed, 0o644)?;
            }
        }
    }
    for path in work.places(OPERATION.paths[1])? {
        let Some(text) = work.text(&path)? else { continue };
        let freed = free(&text);
        if freed != text {
            work.write(&path, &freed, 0o644)?;
        }
    }
    Ok(())
}

/// Returns whether `[Match]` names an address.
fn of_match(text: &[u8]) -> bool {
    let mut section = &b""[..];
    lines(text).any(|line| {
        section = section_of(line).unwrap_or(section);
        section == b"[Match]" && names_address(line)
    })
}

/// Takes the addresses out of a file.
fn free(text: &[u8]) -> Vec<u8> {
    let mut new = Vec::with_capacity(text.len());
    let (mut section, mut replaced) = (&b""[..], false);
    for line in lines(text) {
        section = section_of(line).unwrap_or(section);
        match section {
            b"[Match]" if names_address(line) => {
                if !replaced {
                    new.extend_from_slice(ANY);
                }
                replaced = true;
            }
            b"[Link]" if names_address(line) => {}
            _ => new.extend_from_slice(line),
        }
    }
    new
}

fn section_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    line.starts_with(b"[").then_some(line)
}

fn names_address(line: &[u8]) -> bool {
    let key = line.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
    line.contains(&b'=') && BY_ADDRESS.contains(&key)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn addresses_are_taken_out() {
        let mut tree = MemoryTree::of(&[
            "/etc/systemd/network/10-a.link=[Match]\nMACAddress=52:54:00:00:00:01\n[Link]\nName=lan0\n",
            "/etc/systemd/network/20-b.link=[Match]\nDriver=virtio_net\n[Link]\nMACAddress=x\nMTUBytes=9000\n",
            "/etc/systemd/network/c.network=[Match]\nPermanentMACAddress = a\nMACAddress=b\n[Network]\nDHCP=yes\n",
            "/etc/systemd/network/d.network=[Match]\nName=en*\n# MACAddress=b\n",
        ]);
        let report = sealed(&mut tree, "networkd-mac");
        assert_eq!(report.done[0].edits.list.len(), 3);
        let b = "[Match]\nDriver=virtio_net\n[Link]\nMTUBytes=9000\n";
        assert_eq!(tree.text("/etc/systemd/network/20-b.link"), b);
        let c = "[Match]\nType=ether\n[Network]\nDHCP=yes\n";
        assert_eq!(tree.text("/etc/systemd/network/c.network"), c);
        assert!(!tree.paths().contains(&String::from("/etc/systemd/network/10-a.link")));
    }
}
