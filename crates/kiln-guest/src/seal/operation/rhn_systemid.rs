// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rhn-systemid`: remove the identity at the Red Hat Network.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "rhn-systemid",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the identity at the Red Hat Network",
    documentation: "",
    notes: "",
    paths: &["/etc/sysconfig/rhn/systemid", "/etc/sysconfig/rhn/osad-auth.conf"],
    run: Run::RemoveFiles,
};
