// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dhcp-identity`: remove leases and identifiers of further DHCP clients.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "dhcp-identity",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove leases and identifiers of further DHCP clients",
    documentation: "dhcpcd, systemd-networkd, wicked and ConnMan keep a DUID or a secret; clones \
        with the same one get the same address.",
    notes: "",
    paths: &[
        "/var/lib/dhcpcd/*",
        "/var/lib/dhcpcd5/*",
        "/etc/dhcpcd.duid",
        "/etc/dhcpcd.secret",
        "/var/lib/systemd/network/*",
        "/var/lib/wicked/*",
        "/var/lib/connman/*",
    ],
    run: Run::RemoveTrees,
};
