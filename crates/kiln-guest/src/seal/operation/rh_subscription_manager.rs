// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rh-subscription-manager`: remove certificates of Red Hat's subscription.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "rh-subscription-manager",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove certificates of Red Hat's subscription",
    documentation: "They name this machine to Red Hat or to a Satellite.",
    notes: "",
    paths: &["/etc/pki/consumer/*", "/etc/pki/entitlement/*"],
    run: Run::RemoveTrees,
};
