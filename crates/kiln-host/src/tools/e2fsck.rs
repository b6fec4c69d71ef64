// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `e2fsck`: checks and mends an ext2, ext3 or ext4 file system in a file.
//!
//! Source: e2fsck(8), e2fsprogs 1.47.0 to 1.47.2. The exit status is a sum: 1 and 2 for what was
//! mended, 4 for what was left, 8 if it could not work on the file system, 16 and more for failures.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// What an exit status means that [`check`] and [`mend`] count as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was wrong.
    Clean,
    /// Something was wrong, and is so no more.
    Mended,
    /// Something is wrong.
    Damaged,
}

impl Outcome {
    /// Returns what the exit status `code` means.
    #[must_use]
    pub fn of(code: i32) -> Self {
        match code {
            0 => Self::Clean,
            code if code & (4 | UNUSABLE) == 0 => Self::Mended,
            _ => Self::Damaged,
        }
    }
}

/// In the exit status: the file system cannot be worked on, such as one that is cut off.
const UNUSABLE: i32 = 8;

/// Returns the command that looks for everything that is wrong in `file`, and changes nothing.
#[must_use]
pub fn check(file: &Path) -> Cmd {
    any_verdict(Cmd::new(Tool::E2fsck).arg("-fn").arg(file))
}

/// Returns the command that mends everything that is wrong in `file`.
#[must_use]
pub fn mend(file: &Path) -> Cmd {
    any_verdict(Cmd::new(Tool::E2fsck).arg("-fy").arg(file))
}

/// Returns the command that replays the journal of `file`, if it needs that. A status other than 0
/// says that it had to mend something, or could not.
#[must_use]
pub fn replay(file: &Path) -> Cmd {
    any_verdict(Cmd::new(Tool::E2fsck).args(["-y", "-E", "journal_only"]).arg(file))
}

fn any_verdict(cmd: Cmd) -> Cmd {
    (1..16).fold(cmd, Cmd::also_ok).deadline(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        assert_eq!(check(Path::new("a b")).to_string(), "e2fsck -fn 'a b'");
        assert_eq!(mend(Path::new("a")).to_string(), "e2fsck -fy a");
        assert_eq!(replay(Path::new("a")).to_string(), "e2fsck -y -E journal_only a");
    }

    #[test]
    fn exit_statuses_are_sums() {
        for (code, outcome) in [
            (0, Outcome::Clean),
            (1, Outcome::Mended),
            (3, Outcome::Mended),
            (4, Outcome::Damaged),
            (5, Outcome::Damaged),
            (8, Outcome::Damaged),
            (9, Outcome::Damaged),
        ] {
            assert_eq!(Outcome::of(code), outcome);
        }
    }
}
