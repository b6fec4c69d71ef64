// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `grub-mkimage`: GRUB's core image from a folder of modules.
//!
//! Source: grub-mkimage(1), GRUB 2.06 to 2.12. Exit status 0, or 1 on failure. The same input
//! gives the same bytes: the time stamp of a UEFI image is a constant.

use std::path::Path;

use crate::cmd::{Cmd, Tool};

/// A core image to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreImage<'a> {
    /// `i386-pc`, `x86_64-efi`, `arm64-efi`.
    pub platform: &'a str,
    /// The folder with that platform's modules.
    pub modules: &'a Path,
    /// A file with commands that the image runs first.
    pub config: &'a Path,
    /// Where GRUB looks for its own files unless the commands say otherwise.
    pub prefix: &'a str,
    /// Modules to put in; those that they need come by themselves.
    pub with: &'a [&'a str],
}

/// Returns the command that writes `image` to the file `to`.
#[must_use]
pub fn make(image: &CoreImage<'_>, to: &Path) -> Cmd {
    Cmd::new(Tool::GrubMkimage)
        .args(["-O", image.platform, "-p", image.prefix])
        .arg("-d")
        .arg(image.modules)
        .arg("-c")
        .arg(image.config)
        .arg("-o")
        .arg(to)
        .args(image.with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command() {
        let image = CoreImage {
            platform: "i386-pc",
            modules: Path::new("/m"),
            config: Path::new("/c"),
            prefix: "/boot/grub",
            with: &["biosdisk", "ext2"],
        };
        assert_eq!(
            make(&image, Path::new("/o")).to_string(),
            "grub-mkimage -O i386-pc -p /boot/grub -d /m -c /c -o /o biosdisk ext2"
        );
    }
}
