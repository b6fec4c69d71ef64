// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `crash-data`: remove kernel crash dumps.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "crash-data",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove kernel crash dumps",
    documentation: "Kernel memory that kdump has written after a crash holds whatever the machine \
        knew.",
    notes: "",
    paths: &["/var/crash/*", "/var/log/dump/*"],
    run: Run::RemoveTrees,
};
