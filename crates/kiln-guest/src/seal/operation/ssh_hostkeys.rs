// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ssh-hostkeys`: remove the SSH host keys.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "ssh-hostkeys",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the SSH host keys",
    documentation: "Clones with one key can be taken for each other. Distributions and cloud-init \
        make new keys at the first boot.",
    notes: "Debian without cloud-init makes none by itself: add --firstboot-command 'dpkg- \
        reconfigure openssh-server'.",
    paths: &["/etc/ssh/*_host_*"],
    run: Run::RemoveFiles,
};
