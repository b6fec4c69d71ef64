// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `credential-secret`: remove the key that systemd encrypts credentials with.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "credential-secret",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the key that systemd encrypts credentials with",
    documentation: "systemd makes another when it is needed.",
    notes: "Credentials in /etc/credstore.encrypted that were encrypted with it cannot be \
        read in the clones.",
    paths: &["/var/lib/systemd/credential.secret"],
    run: Run::RemoveFiles,
};
