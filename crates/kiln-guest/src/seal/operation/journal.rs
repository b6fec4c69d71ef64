// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `journal`: remove the systemd journal.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "journal",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the systemd journal",
    documentation: "Each machine's journal is in a folder with the name of its machine id, with its \
        sealing key. logfiles removes it too; this does so alone.",
    notes: "",
    paths: &["/var/log/journal/*", "/run/log/journal/*"],
    run: Run::RemoveTrees,
};
