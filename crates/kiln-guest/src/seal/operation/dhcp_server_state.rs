// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dhcp-server-state`: remove leases of the DHCP server.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "dhcp-server-state",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove leases of the DHCP server",
    documentation: "",
    notes: "",
    paths: &["/var/lib/dhcpd/*"],
    run: Run::RemoveTrees,
};
