// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cloud-init`: let cloud-init take the next boot for the first.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::walk::remove_all;
use crate::tree::{GuestPath, TreeError};

/// Seeds that were put there on purpose; `cloud-init clean` keeps them, too.
const SEED: &str = "/var/lib/cloud/seed";

pub(super) const OPERATION: Operation = Operation {
    name: "cloud-init",
    origin: Origin::Kiln,
    default: true,
    heading: "Let cloud-init take the next boot for the first",
    documentation: "Removes the instance's data (user data with passwords among it), the marks of \
        what has run, and logs, as cloud-init clean --logs does. A seed in /var/lib/cloud/seed \
        stays.",
    notes: "Scripts in /etc/cloud/clean.d are programs of the guest and are not run; \
        cloud-init-installer does what that of Ubuntu's installer would do.",
    paths: &["/var/lib/cloud/*", "/var/log/cloud-init*.log*", "/run/cloud-init"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let seed = GuestPath::from(SEED);
    for pattern in OPERATION.paths {
        for path in work.places(pattern)? {
            if path != seed {
                remove_all(work.tree, &path)?;
            }
        }
    }
    Ok(())
}
