// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which distribution a guest holds, as far as edits must know.
//!
//! Source: os-release(5).

use crate::tree::{GuestPath, Kind, Tree, TreeError};

/// The most that is read of `os-release`.
const RELEASE_MOST: u64 = 64 << 10;
/// Where it may be.
const RELEASE_FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Files that tell a family where there is no `os-release`.
const MARKS: [(&str, Family); 6] = [
    ("/etc/debian_version", Family::Debian),
    ("/etc/redhat-release", Family::RedHat),
    ("/etc/SuSE-release", Family::Suse),
    ("/etc/alpine-release", Family::Alpine),
    ("/etc/arch-release", Family::Arch),
    ("/etc/gentoo-release", Family::Gentoo),
];

/// Distributions that keep their settings in the same places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu, Kali and what is made of them.
    Debian,
    /// Fedora, Red Hat Enterprise Linux and what is made of them.
    RedHat,
    /// openSUSE and SUSE Linux Enterprise.
    Suse,
    /// Arch Linux.
    Arch,
    /// Alpine.
    Alpine,
    /// Gentoo.
    Gentoo,
    /// Void.
    Void,
    /// Windows.
    Windows,
    /// Another Linux, or not known.
    #[default]
    Other,
}

/// What is known of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its family.
    pub family: Family,
    /// `ID` of `os-release`, such as `debian`; empty if there is none.
    pub id: String,
    /// `VERSION_ID`, such as `12`; empty if there is none, as in rolling distributions.
    pub version: String,
}

impl Known {
    /// Looks at a guest.
    ///
    /// # Errors
    ///
    /// What the tree says. Files that are not there, or too large, are no error.
    pub fn of(tree: &mut dyn Tree) -> Result<Self, TreeError> {
        for file in RELEASE_FILES {
            match tree.read(&file.into(), RELEASE_MOST) {
                Ok(bytes) => return Ok(Self::of_release(&String::from_utf8_lossy(&bytes))),
                Err(TreeError::Backend { what, path, source }) => {
                    return Err(TreeError::Backend { what, path, source });
                }
                Err(_) => {}
            }
        }
        let mut known = Self::default();
        for (file, family) in MARKS {
            if is_kind(tree, &file.into(), Kind::File)? {
                return Ok(Self { family, ..known });
            }
        }
        for folder in ["/Windows/System32", "/windows/system32", "/WINDOWS/system32"] {
            if is_kind(tree, &folder.into(), Kind::Directory)? {
                known.family = Family::Windows;
            }
        }
        Ok(known)
    }

    fn of_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().rev().find_map(|line| line.trim().strip_prefix(key));
            line.map(|v| v.trim_matches(['"', '\'']).to_lowercase()).unwrap_or_default()
        };
        let (id, like) = (value("ID="), value("ID_LIKE="));
        let family = std::iter::once(id.as_str())
            .chain(like.split_whitespace())
            .map(family_of)
            .find(|family| *family != Family::Other);
        Self { family: family.unwrap_or_default(), version: value("VERSION_ID="), id }
    }

    /// Returns the version's first number.
    #[must_use]
    pub fn major(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }
}

fn is_kind(tree: &mut dyn Tree, path: &GuestPath, kind: Kind) -> Result<bool, TreeError> {
    match tree.stat(path) {
        Ok(stat) => Ok(stat.is_some_and(|stat| stat.kind == kind)),
        Err(TreeError::Backend { what, path, source }) => {
            Err(TreeError::Backend { what, path, source })
        }
        Err(_) => Ok(false),
    }
}

fn family_of(id: &str) -> Family {
    match id {
        "debian" | "ubuntu" | "kali" | "raspbian" | "devuan" | "linuxmint" => Family::Debian,
        "fedora" | "rhel" | "centos" | "rocky" | "almalinux" | "ol" | "scientific" | "amzn"
        | "openeuler" | "kylin" | "neokylin" | "anolis" => Family::RedHat,
        "suse" | "sles" | "sled" | "opensuse" => Family::Suse,
        id if id.starts_with("opensuse") || id.starts_with("sle-") => Family::Suse,
        "arch" | "manjaro" => Family::Arch,
        "alpine" => Family::Alpine,
        "gentoo" => Family::Gentoo,
        "void" => Family::Void,
        _ => Family::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_id_and_by_likeness() {
        for (text, family, major) in [
            ("ID=debian\nVERSION_ID=\"12\"\n", Family::Debian, Some(12)),
            ("ID=pop\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22.04\"", Family::Debian, Some(22)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", Family::RedHat, None),
            ("ID=\"opensuse-leap\"\nVERSION_ID=\"15.6\"", Family::Suse, Some(15)),
            ("ID=arch\n", Family::Arch, None),
            ("NAME=x\nID=strange", Family::Other, None),
        ] {
            let known = Known::of_release(text);
            assert_eq!((known.family, known.major()), (family, major), "{text}");
        }
    }
}
