// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `customize`: make the edits that were asked for.

use super::{Operation, Origin, Run};

pub(super) const OPERATION: Operation = Operation {
    name: "customize",
    origin: Origin::Sysprep,
    default: true,
    heading: "Make the edits that were asked for",
    documentation: "All options of kiln image customize, in their order, after the other \
        operations: what they write is not sealed away.",
    notes: "virt-sysprep also writes a random seed in this operation. Kiln does not: see \
        random-seed.",
    paths: &[],
    run: Run::Customize,
};
