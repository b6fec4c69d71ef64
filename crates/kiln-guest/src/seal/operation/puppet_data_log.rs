// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `puppet-data-log`: remove data and logs of Puppet.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "puppet-data-log",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove data and logs of Puppet",
    documentation: "",
    notes: "The operation management-agents removes the keys of newer versions.",
    paths: &["/var/log/puppet/*", "/var/lib/puppet/*/*", "/var/lib/puppet/*/*/*"],
    run: Run::RemoveFiles,
};
