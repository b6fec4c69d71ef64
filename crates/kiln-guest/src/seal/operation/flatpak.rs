// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `flatpak`: remove registry passwords and half-done downloads of Flatpak.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "flatpak",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove registry passwords and half-done downloads of Flatpak",
    documentation: "An installation of Flatpak has no identity of its own; what can leak is \
        passwords of registries.",
    notes: "",
    paths: &[
        "/etc/flatpak/oci-auth.json",
        "/root/.config/flatpak/oci-auth.json",
        "/home/*/.config/flatpak/oci-auth.json",
        "/var/lib/flatpak/repo/tmp/*",
    ],
    run: Run::RemoveTrees,
};
