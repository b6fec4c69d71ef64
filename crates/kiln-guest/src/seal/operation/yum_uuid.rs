// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `yum-uuid`: remove yum's UUID.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "yum-uuid",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove yum's UUID",
    documentation: "yum makes another when it next runs.",
    notes: "",
    paths: &["/var/lib/yum/uuid"],
    run: Run::RemoveFiles,
};
