// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `dnf`: a tree of RPM packages. A build runs it in namespaces; here it only tells its version.
//!
//! Source: dnf(8), 4.14 to 4.22. Exit status 0; 1 on failure.

use crate::cmd::{Cmd, Tool};

/// Returns the command that prints the version.
#[must_use]
pub fn version() -> Cmd {
    Cmd::new(Tool::Dnf).arg("--version")
}

/// Reads what [`version`] printed: the first line is the version, of dnf 5 after its name.
#[must_use]
pub fn parse_version(printed: &str) -> Option<&str> {
    printed.lines().next()?.split_whitespace().find(|word| word.starts_with(char::is_numeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("4.14.0\n  Installed: x\n"), Some("4.14.0"));
        assert_eq!(parse_version("dnf5 version 5.2.6\n"), Some("5.2.6"));
        assert_eq!(parse_version(""), None);
    }
}
