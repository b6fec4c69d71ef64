// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dhcp-client-state`: remove leases of the DHCP client.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "dhcp-client-state",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove leases of the DHCP client",
    documentation: "",
    notes: "The operation dhcp-identity removes those of other clients.",
    paths: &["/var/lib/dhclient/*", "/var/lib/dhcp/*"],
    run: Run::RemoveTrees,
};
