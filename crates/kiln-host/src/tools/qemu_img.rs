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

/// An image to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewImage<'a> {
    /// QEMU's name of the format.
    pub format: &'a str,
    /// Its options: `name=value`.
    pub options: &'a [&'a str],
}

/// Returns the command that makes an empty image of `size` bytes at `path`, which is absolute: in
/// another a colon would end the name of a protocol.
#[must_use]
pub fn create(image: &NewImage<'_>, path: &Path, size: u64) -> Cmd {
    let options = image.options.iter().flat_map(|option| ["-o", option]);
    Cmd::new(Tool::QemuImg)
        .args(["create", "-q", "-f", image.format])
        .args(options)
        .arg(path)
        .arg(size.to_string())
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
    fn an_image_is_made_with_its_options() {
        let image = NewImage { format: "vpc", options: &["subformat=dynamic", "force_size=on"] };
        assert_eq!(
            create(&image, Path::new("/a:b"), 1024).to_string(),
            "qemu-img create -q -f vpc -o subformat=dynamic -o force_size=on /a:b 1024"
        );
    }

    #[test]
    fn the_version_is_read() {
        let printed = "qemu-img version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c) 2003\n";
        assert_eq!(parse_version(printed), Some("10.0.2"));
    }
}
