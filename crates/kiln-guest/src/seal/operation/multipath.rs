// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `multipath`: remove names and serial numbers of multipath devices.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "multipath",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove names and serial numbers of multipath devices",
    documentation: "They belong to disks that a clone does not have.",
    notes: "",
    paths: &["/etc/multipath/bindings", "/etc/multipath/wwids", "/etc/multipath/prkeys"],
    run: Run::RemoveFiles,
};
