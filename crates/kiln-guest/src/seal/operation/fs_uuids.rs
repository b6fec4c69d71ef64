// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `fs-uuids`: give file systems other UUIDs.

use super::{Operation, Origin, Run};
use crate::seal::{Cause, Volumes};

pub(super) const OPERATION: Operation = Operation {
    name: "fs-uuids",
    origin: Origin::Sysprep,
    default: false,
    heading: "Give file systems other UUIDs",
    documentation: "Each file system for which this is possible gets a random UUID.",
    notes: "Off by default: the boot loader, the initramfs and fstab go on naming the old UUIDs, \
        and the guest will most likely not boot.",
    paths: &[],
    run: Run::Volumes(run),
};

fn run(volumes: &mut dyn Volumes, notes: &mut Vec<String>) -> Result<(), Cause> {
    for volume in volumes.list() {
        let name = &volume.name;
        if volumes.new_uuid(&volume)? {
            notes.push(format!("`{name}` has another UUID: whatever names the old one fails"));
        } else {
            notes.push(format!("`{name}` ({}) keeps its UUID", volume.fs));
        }
    }
    Ok(())
}
