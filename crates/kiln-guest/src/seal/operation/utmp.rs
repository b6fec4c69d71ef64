// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `utmp`: remove the list of who is logged in.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "utmp",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the list of who is logged in",
    documentation: "",
    notes: "Most distributions keep it in memory.",
    paths: &["/var/run/utmp"],
    run: Run::RemoveFiles,
};
