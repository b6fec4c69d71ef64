// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `nm-keyfiles`: remove connections of NetworkManager on every distribution.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "nm-keyfiles",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove connections of NetworkManager on every distribution",
    documentation: "Connections bind addresses, MAC addresses, UUIDs and secrets (wireless, VPN) to \
        this machine. Without any, NetworkManager asks DHCP on each wired interface.",
    notes: "net-nmconn is this for Fedora and Red Hat Enterprise Linux, and for names with \
        .nmconnection only.",
    paths: &["/etc/NetworkManager/system-connections/*"],
    run: Run::RemoveFiles,
};
