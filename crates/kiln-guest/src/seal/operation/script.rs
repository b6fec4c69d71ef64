// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `script`: run programs of the host on the guest's tree.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "script",
    origin: Origin::Sysprep,
    default: true,
    heading: "Run programs of the host on the guest's tree",
    documentation: "Each --script runs on the host, its working directory the guest's root: it \
        must use paths without a leading /, and a link in the guest may lead it astray.",
    notes: "A program of the host needs a mounted tree, and an image that is edited in process \
        has none: such a seal is refused. --run and --run-command run programs in the guest.",
    paths: &[],
    run: Run::Script,
};
