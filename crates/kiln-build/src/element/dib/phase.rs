// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The phases of a build, and the order of a phase's scripts.

use std::cmp::Ordering;

/// A phase, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Makes the tree: `root.d`.
    Root,
    /// Brings files of the host into the tree: `extra-data.d`.
    ExtraData,
    /// Before packages: `pre-install.d`.
    PreInstall,
    /// Packages and all that needs them: `install.d`.
    Install,
    /// After all packages: `post-install.d`.
    PostInstall,
    /// The tree is whole, seen from outside: `post-root.d`.
    PostRoot,
    /// Partitions the disk: `block-device.d`. Kiln's assembler does that.
    BlockDevice,
    /// The tree is on its disk: `pre-finalise.d`.
    PreFinalise,
    /// Boot loader and the like: `finalise.d`.
    Finalise,
    /// Takes away what only the build needed: `cleanup.d`.
    Cleanup,
}

/// Where a phase's scripts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the host's programs, beside the tree.
    Outside,
    /// In the tree, with its own programs.
    Inside,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 10] = [
        Self::Root,
        Self::ExtraData,
        Self::PreInstall,
        Self::Install,
        Self::PostInstall,
        Self::PostRoot,
        Self::BlockDevice,
        Self::PreFinalise,
        Self::Finalise,
        Self::Cleanup,
    ];

    /// Returns its name: `pre-install`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::ExtraData => "extra-data",
            Self::PreInstall => "pre-install",
            Self::Install => "install",
            Self::PostInstall => "post-install",
            Self::PostRoot => "post-root",
            Self::BlockDevice => "block-device",
            Self::PreFinalise => "pre-finalise",
            Self::Finalise => "finalise",
            Self::Cleanup => "cleanup",
        }
    }

    /// Returns the folder of its scripts: `pre-install.d`.
    #[must_use]
    pub fn folder(self) -> String {
        format!("{}.d", self.name())
    }

    /// Returns where its scripts run.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::PreInstall | Self::Install | Self::PostInstall | Self::Finalise => Place::Inside,
            _ => Place::Outside,
        }
    }
}

/// Whether a file of this name is taken for a script; others are left out without a word.
#[must_use]
pub fn is_script(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Compares scripts' names as `LC_ALL=C sort -n` does: by the number that a name begins with,
/// then byte by byte. A name without one counts as zero.
#[must_use]
pub fn order(a: &str, b: &str) -> Ordering {
    number(a).cmp(&number(b)).then_with(|| a.cmp(b))
}

/// A number as a pair that compares as it does: the sign with the digits' count, the digits.
fn number(name: &str) -> (i64, Vec<i16>) {
    let (negative, rest) = name.strip_prefix('-').map_or((false, name), |rest| (true, rest));
    let digits: Vec<u8> = rest.bytes().take_while(u8::is_ascii_digit).collect();
    let digits: Vec<i16> =
        digits.into_iter().skip_while(|&d| d == b'0').map(|d| i16::from(d - b'0')).collect();
    let len = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    if negative { (-len, digits.into_iter().map(|d| -d).collect()) } else { (len, digits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_sort_orders_them() {
        let mut names =
            vec!["x", "10-b", "9-z", "010-a", "-5", "-40-x", "00-a", "100", "10-B", "_", "-", "1"];
        names.sort_by(|a, b| order(a, b));
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            path.path(),
            names.iter().rev().map(|n| format!("{n}\n")).collect::<String>(),
        )
        .unwrap();
        let path = path.path().to_str().unwrap();
        let sorted = kiln_testkit::run(&["env", "LC_ALL=C", "sort", "-n", path]);
        assert_eq!(names, sorted.success().stdout.lines().collect::<Vec<_>>());
    }

    #[test]
    fn only_plain_names_are_scripts() {
        for name in ["10-x", "x_Y", "-", "1"] {
            assert!(is_script(name), "{name}");
        }
        for name in ["", "10-x.sh", "a~", "a b", "ü", ".x"] {
            assert!(!is_script(name), "{name}");
        }
    }

    #[test]
    fn phases_have_their_folders() {
        let folders: Vec<_> = Phase::ALL.iter().map(|phase| phase.folder()).collect();
        assert_eq!(folders[1], "extra-data.d");
        assert!(Phase::ALL.is_sorted());
    }
}
