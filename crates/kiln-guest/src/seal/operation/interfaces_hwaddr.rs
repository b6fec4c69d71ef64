// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `interfaces-hwaddr`: remove MAC addresses from the settings of ifupdown.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "interfaces-hwaddr",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove MAC addresses from the settings of ifupdown",
    documentation: "Lines with hwaddress give an interface this address: all clones would have it.",
    notes: "",
    paths: &["/etc/network/interfaces", "/etc/network/interfaces.d/*"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let mut unwanted = |line: &[u8]| {
        let rest = line.trim_ascii_start().strip_prefix(b"hwaddress");
        rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
    };
    work.drop_lines(OPERATION.paths, &mut unwanted).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn the_addresses_go_and_all_others_stay() {
        let text =
            "auto eth0\niface eth0 inet dhcp\n  hwaddress ether 52:54:00:00:00:01\n  mtu 9000\n";
        let mut tree = MemoryTree::of(&[&format!("/etc/network/interfaces={text}")]);
        sealed(&mut tree, "interfaces-hwaddr");
        let kept = "auto eth0\niface eth0 inet dhcp\n  mtu 9000\n";
        assert_eq!(tree.text("/etc/network/interfaces"), kept);
    }
}
