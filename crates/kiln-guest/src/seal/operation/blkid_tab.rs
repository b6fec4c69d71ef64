// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `blkid-tab`: remove what blkid remembers of the disks.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{GuestPath, Tree, TreeError};

pub(super) const OPERATION: Operation = Operation {
    name: "blkid-tab",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove what blkid remembers of the disks",
    documentation: "A symbolic link in one of these places is left.",
    notes: "",
    paths: &[
        "/var/run/blkid.tab",
        "/var/run/blkid.tab.old",
        "/etc/blkid/blkid.tab",
        "/etc/blkid/blkid.tab.old",
        "/etc/blkid.tab",
        "/etc/blkid.tab.old",
        "/dev/.blkid.tab",
        "/dev/.blkid.tab.old",
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    for &path in OPERATION.paths {
        let path = GuestPath::from(path);
        if work.is_file(&path)? {
            work.tree.unlink(&path)?;
        }
    }
    Ok(())
}
