// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dbus-machine-id`: remove D-Bus's own copy of the machine id.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{Tree, TreeError};

pub(super) const OPERATION: Operation = Operation {
    name: "dbus-machine-id",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove D-Bus's own copy of the machine id",
    documentation: "An empty one, as machine-id would leave it, is an error to D-Bus; a missing \
        one is made again. A link to /etc/machine-id stays.",
    notes: "",
    paths: &["/var/lib/dbus/machine-id"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let path = OPERATION.paths[0].into();
    if work.is_file(&path)? {
        work.tree.unlink(&path)?;
    }
    Ok(())
}
