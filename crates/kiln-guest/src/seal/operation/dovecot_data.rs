// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dovecot-data`: remove data of the mail server Dovecot.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "dovecot-data",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove data of the mail server Dovecot",
    documentation: "",
    notes: "",
    paths: &["/var/lib/dovecot/*"],
    run: Run::RemoveFiles,
};
