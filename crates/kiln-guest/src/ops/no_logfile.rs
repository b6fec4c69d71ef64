// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `no-logfile`.

use super::{Operation, Parsed, Setting, Shown};

/// The operation.
pub(super) const OPERATION: Operation = Operation {
    name: "no-logfile",
    argument: None,
    heading: "Leave no log in the guest (always so)",
    documentation: "\
Taken and without effect: Kiln never leaves a log of its work in the guest.",
    runs_programs: false,
    shown: Shown::Whole,
    parse: |_| Ok(Parsed::Setting(Setting::Nothing)),
};
