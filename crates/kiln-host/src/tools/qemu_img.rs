// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `qemu-img`: conversion between disk formats.
//!
//! Source: qemu-img(1), QEMU 8.2 to 10.0. Exit status 0, or 1 on failure; `check` has 2 for
//! corruption and 3 for leaked clusters.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// Returns the command that writes `from` (raw) anew as qcow2 version 3 at `to`: sparse, not
/// compressed.
#[must_use]
pub fn raw_to_qcow2(from: &Path, to: &Path) -> Cmd {
    Cmd::new(Tool::QemuImg)
        .args(["convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1", "-W"])
        .arg(from)
        .arg(to)
        .deadline(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        assert_eq!(
            raw_to_qcow2(Path::new("a"), Path::new("b")).to_string(),
            "qemu-img convert -q -f raw -O qcow2 -o compat=1.1 -W a b"
        );
    }
}
