// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `popularity-contest`: remove the number by which Debian counts this machine.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::TreeError;

pub(super) const OPERATION: Operation = Operation {
    name: "popularity-contest",
    origin: Origin::Kiln,
    default: true,
    heading: "Remove the number by which Debian's popularity contest knows the host",
    documentation: "Without one it does not take part; dpkg-reconfigure popularity-contest makes \
        another.",
    notes: "",
    paths: &["/etc/popularity-contest.conf"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let mut unwanted = |line: &[u8]| line.starts_with(b"MY_HOSTID=");
    work.drop_lines(OPERATION.paths, &mut unwanted).map(drop)
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn only_the_number_goes() {
        let line = "/etc/popularity-contest.conf=MY_HOSTID=\"0123\"\nPARTICIPATE=\"yes\"\n";
        let mut tree = MemoryTree::of(&[line]);
        sealed(&mut tree, "popularity-contest");
        assert_eq!(tree.text("/etc/popularity-contest.conf"), "PARTICIPATE=\"yes\"\n");
    }
}
