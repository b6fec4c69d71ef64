// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `mkfs.btrfs`: an empty btrfs file system that fills a file.
//!
//! Source: mkfs.btrfs(8), btrfs-progs 5.15 to 6.14. It takes no time from outside.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that makes a file system as large as `file`.
///
/// Its features are those of the tool: kernels since 5.10 and GRUB since 2.06 know them.
#[must_use]
pub fn make(file: &Path, label: &str, uuid: &str) -> Cmd {
    Cmd::new(Tool::MkfsBtrfs).args(["-q", "-f", "-L", label, "-U", uuid]).arg(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        let cmd = make(Path::new("/x/d"), "root", "u").to_string();
        assert_eq!(cmd, "mkfs.btrfs -q -f -L root -U u /x/d");
    }
}
