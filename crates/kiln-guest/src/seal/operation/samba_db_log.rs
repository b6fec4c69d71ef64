// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `samba-db-log`: remove databases and logs of Samba.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "samba-db-log",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove databases and logs of Samba",
    documentation: "The databases hold the machine's account in its domain and local passwords.",
    notes: "",
    paths: &["/var/log/samba/old/*", "/var/log/samba/*", "/var/lib/samba/*/*", "/var/lib/samba/*"],
    run: Run::RemoveFiles,
};
