// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `net-hwaddr`: remove MAC addresses from the settings of interfaces.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// What the lines begin with.
const KEYS: [&[u8]; 1] = [b"HWADDR="];

pub(super) const OPERATION: Operation = Operation {
    name: "net-hwaddr",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove MAC addresses from the settings of interfaces",
    documentation: "HWADDR binds the settings to an interface that a clone does not have.",
    notes: "Fedora and Red Hat Enterprise Linux keep these files. A file without such lines is \
        not touched.",
    paths: &["/etc/sysconfig/network-scripts/ifcfg-*"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.drop_lines_with(OPERATION.paths, &KEYS)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn the_lines_go_and_all_others_stay() {
        let mut tree = MemoryTree::of(&[
            "/etc/sysconfig/network-scripts/ifcfg-eth0=DEVICE=eth0\nHWADDR=52:54:00:00:00:01\nONBOOT=yes",
            "/etc/sysconfig/network-scripts/ifcfg-lo=DEVICE=lo",
            "/etc/sysconfig/network-scripts/ifup=HOSTNAME=x HWADDR=y",
        ]);
        let report = sealed(&mut tree, "net-hwaddr");
        let file = "/etc/sysconfig/network-scripts/ifcfg-eth0";
        assert_eq!(tree.text(file), "DEVICE=eth0\nONBOOT=yes");
        assert_eq!(report.done[0].edits.list.len(), 1);
    }
}
