// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `debconf-passwords`: remove passwords that were answered to debconf.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "debconf-passwords",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove passwords that were answered to debconf",
    documentation: "",
    notes: "",
    paths: &["/var/cache/debconf/passwords.dat", "/var/cache/debconf/passwords.dat-old"],
    run: Run::RemoveFiles,
};
