// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `lvm-system-devices`: remove LVM's list of devices.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "lvm-system-devices",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove LVM's list of devices",
    documentation: "LVM looks for physical volumes only on the devices in this list. They are named \
        by serial numbers that a clone's disks do not have.",
    notes: "",
    paths: &["/etc/lvm/devices/system.devices"],
    run: Run::RemoveFiles,
};
