// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `nm-state`: remove leases, secrets and memories of NetworkManager.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "nm-state",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove leases, secrets and memories of NetworkManager",
    documentation: "secret_key makes the stable addresses and DHCP identifiers of the machine.",
    notes: "",
    paths: &[
        "/var/lib/NetworkManager/secret_key",
        "/var/lib/NetworkManager/*.lease",
        "/var/lib/NetworkManager/timestamps",
        "/var/lib/NetworkManager/seen-bssids",
    ],
    run: Run::RemoveFiles,
};
