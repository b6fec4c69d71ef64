// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `selinux-relabel`.

use super::{Operation, Parsed, Setting, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "selinux-relabel",
    argument: None,
    heading: "Label new files for SELinux (always so)",
    documentation: "\
Taken and without effect: new files get the labels that the guest's policy says, unless --no-selinux-relabel is given.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |_| Ok(Parsed::Setting(Setting::Nothing)),
};
