// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `passwd-backups`: remove backup copies of the account files.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "passwd-backups",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove backup copies of the account files",
    documentation: "They hold password hashes of before.",
    notes: "",
    paths: &[
        "/etc/group-",
        "/etc/gshadow-",
        "/etc/passwd-",
        "/etc/shadow-",
        "/etc/subgid-",
        "/etc/subuid-",
    ],
    run: Run::RemoveFiles,
};
