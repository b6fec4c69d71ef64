// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `no-selinux-relabel`.

use super::{Operation, Parsed, Setting, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "no-selinux-relabel",
    argument: None,
    heading: "Do not label files for SELinux",
    documentation: "\
Gives files that are made no SELinux labels, and asks for no relabelling at the next boot. It makes no difference in guests without SELinux.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |_| Ok(Parsed::Setting(Setting::NoRelabel)),
};
