// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `udev-persistent`: remove further rules that tie device names to this machine.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "udev-persistent",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove further rules that tie device names to this machine",
    documentation: "",
    notes: "udev-persistent-net removes the most common one.",
    paths: &[
        "/etc/udev/rules.d/70-persistent-cd.rules",
        "/etc/udev/rules.d/z25_persistent-*.rules",
        "/etc/udev/rules.d/30-net_persistent_names.rules",
    ],
    run: Run::RemoveFiles,
};
