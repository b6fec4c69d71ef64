// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `pam-data`: remove who is logged in, and failed logins, as PAM keeps them.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "pam-data",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove who is logged in, and failed logins, as PAM keeps them",
    documentation: "",
    notes: "",
    paths: &["/var/run/console/*", "/var/run/faillock/*", "/var/run/sepermit/*"],
    run: Run::RemoveFiles,
};
