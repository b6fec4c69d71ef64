// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `iscsi-initiator`: remove the name by which iSCSI storage knows the host.

use super::{Operation, Origin, Run};
use crate::seal::system::Family;
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};

/// Lets Debian's start script make a name; without the file it refuses to start.
const MAKE_ONE: &[u8] = b"GenerateName=yes\n";

pub(super) const OPERATION: Operation = Operation {
    name: "iscsi-initiator",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the name by which iSCSI storage knows the host",
    documentation: "Clones with one name can write to each other's volumes. On Debian and Ubuntu \
        the file is left with the order to make a name; elsewhere a missing file is one.",
    notes: "",
    paths: &["/etc/iscsi/initiatorname.iscsi"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let path = GuestPath::from(OPERATION.paths[0]);
    match (work.system.family, work.text(&path)?) {
        (Family::Debian, Some(text)) if text != MAKE_ONE => work.write(&path, MAKE_ONE, 0o600),
        (Family::Debian, _) => Ok(()),
        _ => work.remove_files(OPERATION.paths).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn debian_is_told_to_make_one() {
        let mut tree = MemoryTree::of(&[
            "/etc/os-release=ID=debian\n",
            "/etc/iscsi/initiatorname.iscsi=InitiatorName=iqn.1993-08.org.debian:01:x\n",
        ]);
        sealed(&mut tree, "iscsi-initiator");
        assert_eq!(tree.text("/etc/iscsi/initiatorname.iscsi"), "GenerateName=yes\n");
        assert_eq!(sealed(&mut tree, "iscsi-initiator").done[0].edits.list, []);
    }
}
