// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kerberos-hostkeytab`: remove the Kerberos keys of the host.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "kerberos-hostkeytab",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the Kerberos keys of the host",
    documentation: "",
    notes: "",
    paths: &["/etc/krb5.keytab"],
    run: Run::RemoveFiles,
};
