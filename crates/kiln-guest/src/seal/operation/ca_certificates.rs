// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ca-certificates`: remove certificates and keys of certificate authorities.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// What the distribution brings, and what stays.
const KEPT: [&str; 2] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.trust.crt"];

pub(super) const OPERATION: Operation = Operation {
    name: "ca-certificates",
    origin: Origin::Sysprep,
    default: false,
    heading: "Remove certificates and keys of certificate authorities",
    documentation: "The distribution's own bundles stay. If something was removed, the guest's \
        store of trusted certificates is to be made again.",
    notes: "",
    paths: &[
        "/etc/pki/CA/certs/*.crt",
        "/etc/pki/CA/crl/*.crt",
        "/etc/pki/CA/newcerts/*.crt",
        "/etc/pki/CA/private/*.key",
        "/etc/pki/tls/private/*.key",
        "/etc/pki/tls/certs/*.crt",
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.ca_store |= work.remove_files_but(OPERATION.paths, &KEPT)?;
    Ok(())
}
