// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ubuntu-pro`: remove tokens of an Ubuntu Pro contract.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "ubuntu-pro",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove tokens of an Ubuntu Pro contract",
    documentation: "",
    notes: "",
    paths: &[
        "/var/lib/ubuntu-advantage/private/*",
        "/var/lib/ubuntu-advantage/machine-token.json",
        "/etc/apt/auth.conf.d/90ubuntu-advantage",
    ],
    run: Run::RemoveTrees,
};
