// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `insights-client`: remove the identity at Red Hat Insights.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "insights-client",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the identity at Red Hat Insights",
    documentation: "",
    notes: "",
    paths: &[
        "/etc/insights-client/machine-id",
        "/etc/insights-client/.registered",
        "/etc/insights-client/.lastupload",
    ],
    run: Run::RemoveFiles,
};
