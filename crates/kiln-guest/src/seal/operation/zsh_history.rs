// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `zsh-history`: remove what users have typed in zsh.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "zsh-history",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove what users have typed in zsh",
    documentation: "",
    notes: "Homes are looked for in /root and in /home only.",
    paths: &["/home/*/.zsh_history", "/root/.zsh_history"],
    run: Run::RemoveFiles,
};
