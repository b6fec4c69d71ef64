// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `random-seed`: remove the random seed.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "random-seed",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the random seed",
    documentation: "Clones that begin with one seed may draw the same keys. virt-sysprep writes a \
        new one, which all clones of the template then share; this removes it: the \
        kernel has virtio-rng or the processor's generator, and the system writes a seed \
        of its own at shutdown.",
    notes: "",
    paths: &[
        "/var/lib/systemd/random-seed",
        "/var/lib/random-seed",
        "/var/lib/urandom/random-seed",
        "/var/lib/misc/random-seed",
        "/etc/random-seed",
        "/boot/loader/random-seed",
        "/boot/efi/loader/random-seed",
        "/efi/loader/random-seed",
    ],
    run: Run::RemoveFiles,
};
