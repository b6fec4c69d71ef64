// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mail-spool`: remove mail that waits for users.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "mail-spool",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove mail that waits for users",
    documentation: "",
    notes: "",
    paths: &["/var/spool/mail/*", "/var/mail/*"],
    run: Run::RemoveTrees,
};
