// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hostid`: remove the number of the host.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// What a guest has that boots from ZFS or imports pools.
const ZFS: [&str; 2] = ["/etc/zfs/zpool.cache", "/etc/zfs/zfs-list.cache"];

pub(super) const OPERATION: Operation = Operation {
    name: "hostid",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the number of the host",
    documentation: "gethostid(3) then gives one that is made of the address.",
    notes: "It stays in a guest with ZFS pools: they are bound to it, and would not be imported.",
    paths: &["/etc/hostid"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    for mark in ZFS {
        if work.exists(mark)? {
            if work.exists(OPERATION.paths[0])? {
                work.note("the guest has ZFS pools, which are bound to `/etc/hostid`: it stays");
            }
            return Ok(());
        }
    }
    work.remove_files(OPERATION.paths).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn with_zfs_it_stays() {
        let mut tree = MemoryTree::of(&["/etc/hostid", "/etc/zfs/zpool.cache"]);
        let report = sealed(&mut tree, "hostid");
        assert_eq!((report.done[0].edits.list.len(), report.done[0].notes.len()), (0, 1));
    }
}
