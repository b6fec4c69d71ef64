// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ntp-drift`: remove the drift of the clock, as chrony and ntpd measured it.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "ntp-drift",
    origin: Origin::Kiln,
    default: false,
    heading: "Remove the drift of the clock, as chrony and ntpd measured it",
    documentation: "",
    notes: "Off by default: it is no identity and no secret, only another clock's error.",
    paths: &[
        "/var/lib/chrony/drift",
        "/var/lib/chrony/chrony.drift",
        "/var/lib/ntp/drift",
        "/var/lib/ntp/ntp.drift",
        "/var/lib/ntpsec/ntp.drift",
    ],
    run: Run::RemoveFiles,
};
