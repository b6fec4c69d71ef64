// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `udev-persistent-net`: remove the rules that tie interface names to MAC addresses.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "udev-persistent-net",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the rules that tie interface names to MAC addresses",
    documentation: "The clone's interface would be called eth1, because eth0 is kept for the old \
        address.",
    notes: "",
    paths: &["/etc/udev/rules.d/70-persistent-net.rules"],
    run: Run::RemoveFiles,
};
