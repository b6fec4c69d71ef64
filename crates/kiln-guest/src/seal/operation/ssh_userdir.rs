// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ssh-userdir`: remove users' SSH keys and settings.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "ssh-userdir",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove users' SSH keys and settings",
    documentation: "Private keys, known hosts and the keys that may log in.",
    notes: "Homes are looked for in /root and in /home only.",
    paths: &["/home/*/.ssh", "/root/.ssh"],
    run: Run::RemoveTrees,
};
