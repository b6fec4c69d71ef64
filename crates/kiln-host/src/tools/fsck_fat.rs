// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `fsck.fat`: checks and mends a FAT file system in a file.
//!
//! Source: fsck.fat(8), dosfstools 4.2. Exit status 0 if nothing was wrong, 1 if something was
//! (mended or not: a second look tells) or the tool gave up, 2 for a wrong command line.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// The exit status when something was wrong.
pub const FOUND: i32 = 1;

/// Returns the command that looks for everything that is wrong in `file`, and changes nothing.
#[must_use]
pub fn check(file: &Path) -> Cmd {
    Cmd::new(Tool::FsckFat).arg("-n").arg(file).also_ok(FOUND).deadline(None)
}

/// Returns the command that mends what it can in `file`.
#[must_use]
pub fn mend(file: &Path) -> Cmd {
    Cmd::new(Tool::FsckFat).arg("-a").arg(file).also_ok(FOUND).deadline(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        assert_eq!(check(Path::new("a b")).to_string(), "fsck.fat -n 'a b'");
        assert_eq!(mend(Path::new("a")).to_string(), "fsck.fat -a a");
    }
}
