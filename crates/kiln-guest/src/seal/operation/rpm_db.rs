// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rpm-db`: remove shared memory files of the RPM database.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "rpm-db",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove shared memory files of the RPM database",
    documentation: "They hold locks of this machine; rpm makes them again.",
    notes: "",
    paths: &["/var/lib/rpm/__db.*"],
    run: Run::RemoveFiles,
};
