// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `bash-history`: remove what users have typed in bash.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "bash-history",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove what users have typed in bash",
    documentation: "",
    notes: "Homes are looked for in /root and in /home only.",
    paths: &["/home/*/.bash_history", "/root/.bash_history"],
    run: Run::RemoveFiles,
};
