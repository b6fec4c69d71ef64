// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `sqfstar`: a squashfs file system from a tar archive.
//!
//! Source: sqfstar(1), squashfs-tools 4.5.1 to 4.6.1. The archive comes by standard input; owners,
//! modes, times and extended attributes are the archive's. Exit status 0 or 1. The same archive
//! and the same time give the same bytes.
//!
//! The archive's own entry for the root is not taken, and 4.5.1 heeds `-root-mode` and neither
//! `-root-uid` nor `-root-gid`: the root belongs to whoever runs it. So a user is made root of a
//! namespace for it, by unshare(1).

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that makes the file system `target`, which must not exist, of the tar
/// archive in the file `tar`. It was made at `epoch`, in seconds since 1970, and nothing in it is
/// newer. `is_root` says who runs it. [`Tool::Sqfstar`] is to be there.
#[must_use]
pub fn make(tar: &Path, target: &Path, epoch: u64, is_root: bool) -> Cmd {
    let cmd = if is_root {
        Cmd::new(Tool::Sqfstar)
    } else {
        let program = Tool::Sqfstar.program();
        Cmd::new(Tool::Unshare).args(["--user", "--map-root-user", "--", program])
    };
    cmd.args(["-comp", "zstd", "-no-progress", "-quiet", "-root-mode", "0755"])
        .arg(target)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .input(tar)
        .deadline(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let make = |is_root| make(Path::new("t.tar"), Path::new("x.sq"), 7, is_root).to_string();
        let options = "-comp zstd -no-progress -quiet -root-mode 0755 x.sq < t.tar";
        assert_eq!(make(true), format!("sqfstar {options}"));
        assert_eq!(make(false), format!("unshare --user --map-root-user -- sqfstar {options}"));
    }
}
