// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `fs-uuids`: give file systems other UUIDs.

use super::{Operation, Origin, Run};
use crate::seal::{Cause, Subject};

pub(super) const OPERATION: Operation = Operation {
    name: "fs-uuids",
    origin: Origin::Sysprep,
    default: false,
    heading: "Give file systems other UUIDs",
    documentation: "Each mounted ext file system gets a random UUID, but one whose checksums are made of \
        the old one (metadata_csum without metadata_csum_seed).",
    notes: "Off by default: the boot loader, the initramfs and fstab go on naming the old UUIDs, \
        and the guest will most likely not boot.",
    paths: &[],
    run: Run::Volumes(run),
};

fn run(subject: &mut dyn Subject, notes: &mut Vec<String>) -> Result<(), Cause> {
    for volume in subject.volumes() {
        let name = &volume.name;
        if subject.new_uuid(&volume)? {
            notes.push(format!("`{name}` has another UUID: whatever names the old one fails"));
        } else {
            notes.push(format!("`{name}` ({}) keeps its UUID", volume.fs));
        }
    }
    Ok(())
}
