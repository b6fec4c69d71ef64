// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cloud-init-network`: remove network settings that cloud-init wrote.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// Stands where cloud-init does not run.
const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
/// Its settings.
const SETTINGS: [&str; 2] = ["/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg"];

pub(super) const OPERATION: Operation = Operation {
    name: "cloud-init-network",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove network settings that cloud-init wrote",
    documentation: "They hold this machine's MAC addresses and often its address. cloud-init \
        writes them again from the clone's seed, as after cloud-init clean --configs network.",
    notes: "They stay where cloud-init would not write them again: it is not there, is disabled \
        or must leave the network alone.",
    paths: &[
        "/etc/netplan/50-cloud-init.yaml",
        "/etc/NetworkManager/conf.d/99-cloud-init.conf",
        "/etc/NetworkManager/conf.d/30-cloud-init-ip6-addr-gen-mode.conf",
        "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection",
        "/etc/systemd/network/10-cloud-init-*.network",
        "/etc/network/interfaces.d/50-cloud-init",
        "/etc/network/interfaces.d/50-cloud-init.cfg",
        "/etc/udev/rules.d/85-persistent-net-cloud-init.rules",
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let mut found = Vec::new();
    for pattern in OPERATION.paths {
        found.extend(work.places(pattern)?);
    }
    if found.is_empty() {
        return Ok(());
    }
    if !work.exists(SETTINGS[0])? || work.exists(DISABLED)? || leaves_network(work)? {
        work.note("cloud-init would not write the network's settings again, so they stay");
        return Ok(());
    }
    found.iter().try_for_each(|path| work.remove_file(path).map(drop))
}

/// Returns whether a setting says `network: {config: disabled}`.
fn leaves_network(work: &mut Work<'_, '_>) -> Result<bool, TreeError> {
    for pattern in SETTINGS {
        for path in work.places(pattern)? {
            let Some(text) = work.text(&path)? else { continue };
            let text = String::from_utf8_lossy(&text);
            let Ok(settings) = crate::yaml::load(&text) else { continue };
            let config = settings.get("network").and_then(|network| network.get("config"));
            if config.and_then(|config| config.as_text()) == Some("disabled") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn settings_that_would_not_come_back_stay() {
        let netplan = "/etc/netplan/50-cloud-init.yaml";
        let cloud = "/etc/cloud/cloud.cfg=users: [default]\n";
        let off = "/etc/cloud/cloud.cfg.d/99.cfg=network: {config: disabled}\n";
        for (lines, stays) in [
            (vec![netplan, cloud], false),
            (vec![netplan], true),
            (vec![netplan, cloud, "/etc/cloud/cloud-init.disabled"], true),
            (vec![netplan, cloud, off], true),
            (vec![netplan, cloud, "/etc/cloud/cloud.cfg.d/1.cfg=: ["], false),
        ] {
            let mut tree = MemoryTree::of(&lines);
            let report = sealed(&mut tree, "cloud-init-network");
            assert_eq!(tree.paths().iter().any(|p| p == netplan), stays, "{lines:?}");
            assert_eq!(report.done[0].notes.len(), usize::from(stays));
        }
    }
}
