// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `selinux-relabel-exclude`.

use super::argument::path;
use super::{Operation, Parsed, Setting, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "selinux-relabel-exclude",
    argument: Some("DIR"),
    heading: "Do not label files below a directory for SELinux",
    documentation: "\
Files below DIR keep the SELinux labels that they have. It may be given several times.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |text| Ok(Parsed::Setting(Setting::RelabelExclude(path(text)?))),
};
