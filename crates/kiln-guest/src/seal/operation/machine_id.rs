// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `machine-id`: empty the machine id.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "machine-id",
    origin: Origin::Sysprep,
    default: true,
    heading: "Empty the machine id",
    documentation: "systemd makes another at the first boot. Clones with one id get one address \
        from DHCP. The file stays: on a root that is mounted read-only systemd needs it to mount \
        its own upon.",
    notes: "The operation dbus-machine-id removes D-Bus's copy.",
    paths: &["/etc/machine-id", "/var/lib/dbus/machine-id"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    OPERATION.paths.iter().try_for_each(|&path| work.empty(&path.into()))
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn files_are_emptied_and_links_left() {
        let mut tree = MemoryTree::of(&[
            "/etc/machine-id=0123456789abcdef0123456789abcdef\n",
            "/var/lib/dbus/machine-id -> /etc/hostname",
            "/etc/hostname=web\n",
        ]);
        let report = sealed(&mut tree, "machine-id");
        assert_eq!(report.done[0].edits.list.len(), 1);
        assert_eq!(tree.text("/etc/machine-id"), "");
        assert_eq!(tree.text("/etc/hostname"), "web\n");
        // What is empty already is not touched.
        assert_eq!(sealed(&mut tree, "machine-id").done[0].edits.list, []);
    }
}
