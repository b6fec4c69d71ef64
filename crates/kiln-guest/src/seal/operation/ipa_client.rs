// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ipa-client`: remove the enrolment at a FreeIPA server.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

/// Certificates of the server that the system trusts.
const CERTIFICATES: [&str; 3] = [
    "/etc/pki/ca-trust/source/anchors/ipa-ca.crt",
    "/usr/local/share/ca-certificates/ipa-ca.crt",
    "/etc/pki/ca-trust/source/ipa.p11-kit",
];

pub(super) const OPERATION: Operation = Operation {
    name: "ipa-client",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove the enrolment at a FreeIPA server",
    documentation: "The server is not told. If one of its certificates was trusted, the guest's \
        store of trusted certificates is to be made again.",
    notes: "",
    paths: &[
        "/etc/ipa/ca.crt",
        "/etc/ipa/default.conf",
        "/var/lib/ipa-client/sysrestore/*",
        "/var/lib/ipa-client/pki/*",
        CERTIFICATES[0],
        CERTIFICATES[1],
        CERTIFICATES[2],
    ],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.ca_store |= work.remove_files(&CERTIFICATES)?;
    work.remove_files(OPERATION.paths).map(drop)
}
