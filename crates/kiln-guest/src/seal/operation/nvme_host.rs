// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `nvme-host`: remove the names by which NVMe storage knows the host.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "nvme-host",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the names by which NVMe storage knows the host",
    documentation: "",
    notes: "",
    paths: &["/etc/nvme/hostnqn", "/etc/nvme/hostid"],
    run: Run::RemoveFiles,
};
