// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu-img`: conversion between disk formats.
//!
//! Source: qemu-img(1), QEMU 8.2 to 10.0. Exit status 0, or 1 on failure; `check` has 2 for
//! corruption and 3 for leaked clusters.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that writes `from` (raw) anew as qcow2 version 3 at `to`: sparse, not
/// compressed, and in order, so that the same disk gives the same file (`-W` would not).
#[must_use]
pub fn raw_to_qcow2(from: &Path, to: &Path) -> Cmd {
    Cmd::new(Tool::QemuImg)
        .args(["convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1"])
        .arg(from)
        .arg(to)
        .deadline(None)
}

/// Returns the command that prints the version.
#[must_use]
pub fn version() -> Cmd {
    Cmd::new(Tool::QemuImg).arg("--version")
}

/// Reads what [`version`] printed: `qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2)`.
#[must_use]
pub fn parse_version(printed: &str) -> Option<&str> {
    printed.lines().next()?.strip_prefix("qemu-img version ")?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        assert_eq!(
            raw_to_qcow2(Path::new("a"), Path::new("b")).to_string(),
            "qemu-img convert -q -f raw -O qcow2 -o compat=1.1 a b"
        );
    }

    #[test]
    fn the_version_is_read() {
        let printed = "qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c) 2003\n";
        assert_eq!(parse_version(printed), Some("10.0.2"));
    }
}
