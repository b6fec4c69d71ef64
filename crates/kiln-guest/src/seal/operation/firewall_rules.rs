// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `firewall-rules`: remove the firewall's own rules.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "firewall-rules",
    origin: Origin::Sysprep,
    default: false,
    heading: "Remove the firewall's own rules",
    documentation: "Rules of the iptables service and the zones and services of firewalld that were \
        added on this machine.",
    notes: "Off by default: it may lay open what the rules kept shut.",
    paths: &["/etc/sysconfig/iptables", "/etc/firewalld/services/*", "/etc/firewalld/zones/*"],
    run: Run::RemoveFiles,
};
