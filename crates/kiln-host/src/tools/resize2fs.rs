// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `resize2fs`: makes an ext2, ext3 or ext4 file system in a file larger or smaller.
//!
//! Source: resize2fs(8), e2fsprogs 1.47.0 to 1.47.2. A size without a unit counts blocks of the
//! file system. Exit status 0 or 1.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that makes the file system in `file` this many blocks large. It wants
/// e2fsck to have run before.
#[must_use]
pub fn resize(file: &Path, blocks: u64) -> Cmd {
    Cmd::new(Tool::Resize2fs).arg(file).arg(blocks.to_string()).deadline(None)
}

/// Returns the command that prints how small the file system in `file` can be.
#[must_use]
pub fn minimum(file: &Path) -> Cmd {
    Cmd::new(Tool::Resize2fs).arg("-P").arg(file).deadline(None)
}

/// Reads the number of blocks that [`minimum`] printed, the last word.
#[must_use]
pub fn parse_minimum(printed: &str) -> Option<u64> {
    printed.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        assert_eq!(resize(Path::new("a"), 4096).to_string(), "resize2fs a 4096");
        assert_eq!(minimum(Path::new("a")).to_string(), "resize2fs -P a");
    }

    #[test]
    fn the_minimum_is_read() {
        let printed = "Estimated minimum size of the filesystem: 1441\n";
        assert_eq!(parse_minimum(printed), Some(1441));
        assert_eq!(parse_minimum(""), None);
    }
}
