// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `smolt-uuid`: remove the hardware UUID of Smolt.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "smolt-uuid",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the hardware UUID of Smolt",
    documentation: "",
    notes: "",
    paths: &["/etc/sysconfig/hw-uuid", "/etc/smolt/uuid", "/etc/smolt/hw-uuid"],
    run: Run::RemoveFiles,
};
