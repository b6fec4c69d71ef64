// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `ssl-snakeoil`: remove the certificate that Debian's ssl-cert made for itself.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "ssl-snakeoil",
    origin: Origin::Kiln,
    default: false,
    heading: "Remove the certificate that Debian's ssl-cert made for itself",
    documentation: "All clones have its private key.",
    notes: "Off by default: services that name it do not start without it. Make another with \
        make-ssl-cert generate-default-snakeoil in the clone.",
    paths: &["/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"],
    run: Run::RemoveFiles,
};
