// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cloud-init-ssh`: remove the SSH server settings that cloud-init wrote.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "cloud-init-ssh",
    origin: Origin::Kiln,
    default: false,
    heading: "Remove the SSH server settings that cloud-init wrote",
    documentation: "Whether passwords may log in, as the seed of the first boot said.",
    notes: "Off by default: it is a setting, not an identity. cloud-init writes it again \
        only if the clone's seed has ssh_pwauth.",
    paths: &["/etc/ssh/sshd_config.d/50-cloud-init.conf"],
    run: Run::RemoveFiles,
};
