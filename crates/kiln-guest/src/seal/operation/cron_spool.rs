// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `cron-spool`: remove jobs that users have given to cron and at.

use super::{Operation, Origin, Run};
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};

/// The file of at's last number, which stays.
const SEQUENCE: &[u8] = b".SEQ";
/// What it holds before the first job: five hexadecimal digits.
const FIRST: &[u8] = b"00000\n";
/// Where it may be.
const SEQUENCES: [&str; 3] =
    ["/var/spool/cron/atjobs/.SEQ", "/var/spool/atjobs/.SEQ", "/var/spool/at/.SEQ"];

pub(super) const OPERATION: Operation = Operation {
    name: "cron-spool",
    origin: Origin::Sysprep,
    default: true,
    heading: "Remove jobs that users have given to cron and at",
    documentation: "Directories stay. The numbers of at begin anew.",
    notes: "",
    paths: &["/var/spool/cron", "/var/spool/atjobs/*", "/var/spool/atspool/*", "/var/spool/at"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    work.remove_files_below("/var/spool/cron", SEQUENCE)?;
    work.remove_files(&["/var/spool/atjobs/*", "/var/spool/atspool/*"])?;
    work.remove_files_below("/var/spool/at", SEQUENCE)?;
    for path in SEQUENCES {
        let path = GuestPath::from(path);
        if work.is_file(&path)? && work.text(&path)?.is_some_and(|text| text != FIRST) {
            work.write(&path, FIRST, 0o600)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn the_numbers_of_at_begin_anew() {
        let mut tree = MemoryTree::of(&["/var/spool/cron/atjobs/.SEQ=0002a\n", "/etc/x"]);
        sealed(&mut tree, "cron-spool");
        assert_eq!(tree.text("/var/spool/cron/atjobs/.SEQ"), "00000\n");
    }
}
