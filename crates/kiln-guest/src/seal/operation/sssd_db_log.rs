// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `sssd-db-log`: remove databases and logs of SSSD.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "sssd-db-log",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove databases and logs of SSSD",
    documentation: "",
    notes: "",
    paths: &["/var/log/sssd/*", "/var/lib/sss/db/*"],
    run: Run::RemoveFiles,
};
