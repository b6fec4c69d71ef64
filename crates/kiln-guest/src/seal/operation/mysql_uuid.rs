// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mysql-uuid`: remove the UUID of a MySQL server.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "mysql-uuid",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the UUID of a MySQL server",
    documentation: "Servers with one UUID cannot replicate from each other. The server makes another \
        when it starts.",
    notes: "",
    paths: &["/var/lib/mysql/auto.cnf"],
    run: Run::RemoveFiles,
};
