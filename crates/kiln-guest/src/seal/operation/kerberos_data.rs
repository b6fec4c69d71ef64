// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kerberos-data`: remove the database of a Kerberos server.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// Settings, which stay.
const KEPT: [&str; 2] = ["/var/kerberos/krb5kdc/kadm5.acl", "/var/kerberos/krb5kdc/kdc.conf"];

pub(super) const OPERATION: Operation = Operation {
    name: "kerberos-data",
    origin: Origin::Sysprep,
    default: false,
    heading: "Remove the database of a Kerberos server",
    documentation: "kadm5.acl and kdc.conf stay.",
    notes: "",
    paths: &["/var/kerberos/krb5kdc/*"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.remove_files_but(OPERATION.paths, &KEPT).map(drop)
}
