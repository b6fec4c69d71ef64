// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `lvm-uuids`: give LVM's physical volumes and volume groups other UUIDs.

use super::{Operation, Origin, Run};
use crate::seal::{Cause, Subject};

pub(super) const OPERATION: Operation = Operation {
    name: "lvm-uuids",
    origin: Origin::Sysprep,
    default: true,
    heading: "Give LVM's physical volumes and volume groups other UUIDs",
    documentation: "",
    notes: "Only where the image has LVM and is edited through an appliance; otherwise they stay, \
        which is said.",
    paths: &[],
    run: Run::Volumes(run),
};

fn run(subject: &mut dyn Subject, notes: &mut Vec<String>) -> Result<(), Cause> {
    if subject.new_lvm_uuids()? == Some(false) {
        notes.push(String::from("the image has LVM, whose UUIDs stay as they are"));
    }
    Ok(())
}
