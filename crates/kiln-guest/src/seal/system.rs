// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which system a guest has, as far as operations differ.

use crate::tree::walk::present;
use crate::tree::{GuestPath, Kind, Tree, TreeError};

/// Where a system says who it is: os-release(5).
const RELEASES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Systems from before os-release(5), by a file that only they have.
const MARKS: [(&str, Family); 3] = [
    ("/etc/redhat-release", Family::RedHat),
    ("/etc/debian_version", Family::Debian),
    ("/etc/SuSE-release", Family::Suse),
];
/// The most that is read of `os-release`.
const MOST: u64 = 64 << 10;

/// Distributions that keep their files in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// Fedora, Red Hat Enterprise Linux and their kin.
    RedHat,
    /// openSUSE and SUSE Linux Enterprise.
    Suse,
    /// Any other, or unknown.
    Other,
}

/// Which system a guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// Its family.
    pub family: Family,
}

impl System {
    /// Reads off a tree which system it is.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn of(tree: &mut dyn Tree) -> Result<Self, TreeError> {
        for path in RELEASES {
            let path = GuestPath::from(path);
            let file = present(tree.stat(&path))?.flatten();
            if !file.is_some_and(|stat| stat.kind == Kind::File && stat.size <= MOST) {
                continue;
            }
            let text = tree.read(&path, MOST)?;
            let family = family_of(&String::from_utf8_lossy(&text));
            if family != Family::Other {
                return Ok(Self { family });
            }
        }
        for (mark, family) in MARKS {
            if present(tree.stat(&mark.into()))?.flatten().is_some() {
                return Ok(Self { family });
            }
        }
        Ok(Self { family: Family::Other })
    }

    /// Returns the command that makes the store of trusted certificates again.
    #[must_use]
    pub fn ca_store_command(&self) -> Option<&'static str> {
        match self.family {
            Family::Debian => Some("update-ca-certificates"),
            Family::Suse => Some("update-ca-certificates"),
            Family::RedHat => Some("update-ca-trust extract"),
            Family::Other => None,
        }
    }
}

/// Reads `ID` and `ID_LIKE`.
fn family_of(release: &str) -> Family {
    let values = ["ID=", "ID_LIKE="].into_iter().filter_map(|key| {
        let line = release.lines().rev().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().trim_matches(['"', '\'']))
    });
    let mut words = values.flat_map(str::split_whitespace);
    let family = words.find_map(|word| match word {
        "debian" | "ubuntu" | "kali" => Some(Family::Debian),
        "fedora" | "rhel" | "centos" | "scientific" | "ol" | "rocky" | "almalinux" => {
            Some(Family::RedHat)
        }
        "suse" | "opensuse" | "sles" => Some(Family::Suse),
        _ => None,
    });
    family.unwrap_or(Family::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::memory::MemoryTree;

    #[test]
    fn families_are_told_by_the_release_or_by_a_mark() {
        for (line, family) in [
            ("/etc/os-release=ID=debian\n", Family::Debian),
            ("/usr/lib/os-release=ID=mint\nID_LIKE=\"ubuntu debian\"\n", Family::Debian),
            ("/etc/os-release=ID=\"rocky\"\n", Family::RedHat),
            ("/etc/os-release=ID='x'\nID_LIKE='rhel fedora'\n", Family::RedHat),
            ("/etc/os-release=ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Family::Suse),
            ("/etc/os-release=ID=arch\n", Family::Other),
            ("/etc/redhat-release=CentOS release 5", Family::RedHat),
            ("/etc/os-release/=", Family::Other),
        ] {
            let mut tree = MemoryTree::of(&[line]);
            assert_eq!(System::of(&mut tree).unwrap().family, family, "{line}");
        }
    }
}
