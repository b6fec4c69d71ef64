// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `net-nmconn`: remove connections of NetworkManager.

use super::{Operation, Origin, Run};
use crate::seal::system::Family;
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "net-nmconn",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove connections of NetworkManager",
    documentation: "On Fedora, Red Hat Enterprise Linux and their kin: connections bind \
        addresses, UUIDs and secrets to this machine. Without any, NetworkManager asks DHCP on \
        each wired interface.",
    notes: "The operation nm-keyfiles does this on all other distributions and for names without \
        .nmconnection.",
    paths: &["/etc/NetworkManager/system-connections/*.nmconnection"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    if work.system.family == Family::RedHat {
        work.remove_files(OPERATION.paths)?;
    }
    Ok(())
}
