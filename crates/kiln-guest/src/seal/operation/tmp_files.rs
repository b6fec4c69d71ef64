// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `tmp-files`: empty the directories for temporary files.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "tmp-files",
    origin: Origin::Sysprep,
    default: true,
    heading: "Empty the directories for temporary files",
    documentation: "Names that begin with a dot go too; the directories stay.",
    notes: "",
    paths: &["/tmp/*", "/tmp/.*", "/var/tmp/*", "/var/tmp/.*"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.remove_trees(OPERATION.paths)
}
