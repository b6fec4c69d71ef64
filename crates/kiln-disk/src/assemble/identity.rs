// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What makes a machine that one: removed, so that each machine of a tree is another.

use super::{AssembleError, Layout};
use crate::fs::ext::{Attrs, ExtError, ExtFs, Kind, Node};

/// Files that go: a folder, and a name in which `*` stands for anything.
const FILES: &[(&str, &str)] = &[
    // D-Bus takes systemd's, if there is none of its own.
    ("/var/lib/dbus", "machine-id"),
    ("/etc/ssh", "ssh_host_*_key"),
    ("/etc/ssh", "ssh_host_*_key.pub"),
    ("/etc/ssh", "ssh_host_*_key-cert.pub"),
    ("/var/lib/systemd", "random-seed"),
    ("/var/lib/systemd", "credential.secret"),
    // Names of network cards and drives by the hardware of another machine.
    ("/etc/udev/rules.d", "70-persistent-*.rules"),
    ("/var/lib/dhcp", "dhclient*"),
    ("/var/lib/dhclient", "dhclient*"),
    ("/var/lib/NetworkManager", "*.lease"),
    ("/var/lib/NetworkManager", "secret_key"),
];
/// Where Fedora's older relatives bind an interface to a hardware address.
const IFCFG: &str = "/etc/sysconfig/network-scripts";
/// The most bytes of such a file.
const MOST_TEXT: u64 = 64 << 10;

/// Removes what makes a machine that one.
pub(super) fn forget(fs: &mut ExtFs, layout: &Layout) -> Result<(), AssembleError> {
    if layout.keep_identity {
        return Ok(());
    }
    for (folder, pattern) in FILES {
        forget_files(fs, folder, pattern)
            .map_err(|source| AssembleError::Tree { path: folder.as_bytes().to_vec(), source })?;
    }
    forget_hardware(fs)
        .map_err(|source| AssembleError::Tree { path: IFCFG.as_bytes().to_vec(), source })
}

/// Returns a directory that is reached without leaving the tree, if there is one.
fn folder_at(fs: &mut ExtFs, path: &str) -> Result<Option<Node>, ExtError> {
    match fs.resolve(path.as_bytes()) {
        Ok(Some(node)) => Ok(fs.is_directory(node)?.then_some(node)),
        Ok(None) | Err(ExtError::NotADirectory { .. } | ExtError::Loop { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn forget_files(fs: &mut ExtFs, path: &str, pattern: &str) -> Result<(), ExtError> {
    let Some(folder) = folder_at(fs, path)? else { return Ok(()) };
    for entry in fs.list(folder)? {
        let file = matches(pattern, &entry.name) && fs.stat(entry.node)?.kind == Kind::File;
        if file {
            fs.unlink(folder, &entry.name)?;
        }
    }
    Ok(())
}

/// Returns whether a name is the pattern's, in which one `*` may stand for anything.
fn matches(pattern: &str, name: &[u8]) -> bool {
    match pattern.split_once('*') {
        None => name == pattern.as_bytes(),
        Some((begin, end)) => {
            name.len() >= begin.len() + end.len()
                && name.starts_with(begin.as_bytes())
                && name.ends_with(end.as_bytes())
        }
    }
}

/// Takes the lines with a hardware address out of `ifcfg-*`.
fn forget_hardware(fs: &mut ExtFs) -> Result<(), ExtError> {
    let Some(folder) = folder_at(fs, IFCFG)? else { return Ok(()) };
    for entry in fs.list(folder)? {
        let stat = fs.stat(entry.node)?;
        let ours = entry.name.starts_with(b"ifcfg-") && stat.kind == Kind::File;
        if !ours || stat.size > MOST_TEXT {
            continue;
        }
        let Ok(text) = String::from_utf8(fs.read_file(entry.node, MOST_TEXT)?) else { continue };
        let bound = |line: &&str| line.starts_with("HWADDR=") || line.starts_with("UUID=");
        if text.lines().any(|line| bound(&line)) {
            let kept: String =
                text.lines().filter(|line| !bound(line)).map(|line| format!("{line}\n")).collect();
            fs.overwrite(entry.node, &mut kept.as_bytes())?;
            let Attrs { mtime, .. } = stat.attrs;
            fs.set_attrs(entry.node, &Attrs { mtime, ..stat.attrs })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        assert!(matches("ssh_host_*_key", b"ssh_host_rsa_key"));
        assert!(!matches("ssh_host_*_key", b"ssh_host_key"));
        assert!(!matches("ssh_host_*_key", b"ssh_host_rsa_key.pub"));
        assert!(matches("machine-id", b"machine-id") && !matches("machine-id", b"machine-id2"));
    }
}
