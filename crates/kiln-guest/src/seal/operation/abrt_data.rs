// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `abrt-data`: remove the crash reports that ABRT has gathered.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "abrt-data",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the crash reports that ABRT has gathered",
    documentation: "",
    notes: "",
    paths: &["/var/spool/abrt/*"],
    run: Run::RemoveTrees,
};
