// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `coredumps`: remove memory dumps of programs.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "coredumps",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove memory dumps of programs",
    documentation: "They hold passwords and keys that the programs knew.",
    notes: "",
    paths: &["/var/lib/systemd/coredump/*", "/var/lib/apport/coredump/*"],
    run: Run::RemoveTrees,
};
