// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `pacct-log`: empty the log of process accounting.

use super::{Operation, Origin, Run};
use crate::seal::system::Family;
use crate::seal::work::Work;
use crate::tree::{GuestPath, TreeError};

pub(super) const OPERATION: Operation = Operation {
    name: "pacct-log",
    origin: Origin::Sysprep,
    default: true,
    heading: "Empty the log of process accounting",
    documentation: "Older logs are removed; an empty one is left, because accounting does not \
        begin without.",
    notes: "",
    paths: &["/var/account/pacct*", "/var/log/account/pacct*"],
    run: Run::Tree(run),
};

fn run(work: &mut Work<'_, '_>) -> Result<(), TreeError> {
    let (dir, logs, log) = match work.system.family {
        Family::RedHat => ("/var/account", OPERATION.paths[0], "/var/account/pacct"),
        Family::Debian => ("/var/log/account", OPERATION.paths[1], "/var/log/account/pacct"),
        Family::Suse | Family::Other => return Ok(()),
    };
    work.remove_files_but(&[logs], &[log])?;
    let log = GuestPath::from(log);
    match work.lstat(&log)? {
        None if work.exists(dir)? => work.write(&log, b"", 0o644),
        _ => work.empty(&log),
    }
}

#[cfg(test)]
mod tests {
    use crate::seal::cases::sealed;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn an_empty_log_is_left() {
        let release = "/etc/os-release=ID=debian\n";
        let mut tree =
            MemoryTree::of(&[release, "/var/log/account/pacct=x", "/var/log/account/pacct.1"]);
        sealed(&mut tree, "pacct-log");
        assert_eq!(tree.text("/var/log/account/pacct"), "");
        assert!(!tree.paths().contains(&String::from("/var/log/account/pacct.1")));
        let mut tree = MemoryTree::of(&[release, "/var/log/x"]);
        assert_eq!(sealed(&mut tree, "pacct-log").done[0].edits.list, []);
    }
}
