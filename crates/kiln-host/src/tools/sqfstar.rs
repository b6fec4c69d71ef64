// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `sqfstar`: a squashfs file system from a tar archive.
//!
//! Source: sqfstar(1), squashfs-tools 4.5.1 to 4.6.1. The archive comes by standard input; owners,
//! modes, times and extended attributes are the archive's. Exit status 0 or 1. The same archive
//! and the same time give the same bytes.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that makes the file system `target`, which must not exist, of the tar
/// archive in the file `tar`. It was made at `epoch`, in seconds since 1970, and nothing in it is
/// newer.
#[must_use]
pub fn make(tar: &Path, target: &Path, epoch: u64) -> Cmd {
    Cmd::new(Tool::Sqfstar)
        .args(["-comp", "zstd", "-no-progress", "-quiet"])
        // The archive's own entry for the root is not taken, and the default is 0777.
        .args(["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"])
        .arg(target)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .input(tar)
        .deadline(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        assert_eq!(
            make(Path::new("t.tar"), Path::new("x.squashfs"), 7).to_string(),
            "sqfstar -comp zstd -no-progress -quiet -root-mode 0755 -root-uid 0 -root-gid 0 x.squashfs \
             < t.tar"
        );
    }
}
