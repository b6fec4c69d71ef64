// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bundle: the tree of a machine as a compressed tar archive, and what is known of it.
//!
//! `NAME.tar.zst` is a pax archive that every tar reads; `NAME.tar.zst.json` beside it is its
//! manifest: one JSON object. Keys are stable, as those of an image's manifest are.
//!
//! ```json
//! {
//!   "format": 1,
//!   "name": "web",
//!   "arch": "amd64",
//!   "os": { "id": "debian", "version": "12", "pretty_name": "Debian GNU/Linux 12 (bookworm)" },
//!   "kernel": "6.1.0-56-amd64",
//!   "firmware": ["bios", "uefi"],
//!   "entries": 31220,
//!   "tree_bytes": 571204211,
//!   "tar_bytes": 603996160,
//!   "file_size": 199218113,
//!   "digest": "sha256:…",
//!   "from": "ssh",
//!   "left_out": ["/proc/*", "…"],
//!   "created": "2026-11-21T02:44:23Z",
//!   "tool": "kiln 0.1.0"
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image::{Digest, Firmware, Os};
use crate::{Arch, Bytes};

/// The manifest's format that this Kiln writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// What the manifest's file name has after the bundle's.
pub const MANIFEST_ENDING: &str = ".json";
/// What a bundle's file name ends in.
pub const ENDING: &str = ".tar.zst";

/// What is known of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleManifest {
    /// The manifest's format: [`FORMAT`].
    pub format: u32,
    /// Its name.
    pub name: String,
    /// For which processors it is; `None` if no program in it tells.
    pub arch: Option<Arch>,
    /// Its operating system.
    pub os: Os,
    /// The release of its newest kernel; `None` if it has none.
    pub kernel: Option<String>,
    /// The firmware that it has boot loaders for.
    pub firmware: Vec<Firmware>,
    /// How many files, folders and links.
    pub entries: u64,
    /// Bytes in all files, without their holes.
    pub tree_bytes: Bytes,
    /// How long the archive is before it is compressed.
    pub tar_bytes: Bytes,
    /// How long the file is.
    pub file_size: Bytes,
    /// The file's digest.
    pub digest: Digest,
    /// What it was made from.
    pub from: Origin,
    /// The patterns that were left out.
    pub left_out: Vec<String>,
    /// When it was made: RFC 3339, in UTC.
    pub created: String,
    /// The program that made it, with its version.
    pub tool: String,
}

/// What a bundle was made from. Names and addresses are not told: bundles are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// A machine, over SSH.
    Ssh,
    /// The host itself, while it ran.
    Host,
    /// A folder.
    Tree,
    /// A disk image.
    Image,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssh => "a machine, over SSH",
            Self::Host => "a running host",
            Self::Tree => "a folder",
            Self::Image => "an image",
        })
    }
}

/// A pattern of paths that stay out of a bundle: `/var/log/*.gz`.
///
/// It begins with `/`; `*` stands for anything within one name. What is below a folder that is
/// left out is left out, too: `/proc/*` leaves the folder itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exclude(String);

/// A text that is no pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no path to leave out: it {why}", text.escape_debug())]
pub struct ExcludeError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub why: &'static str,
}

impl Exclude {
    /// Returns the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a path from the tree's root, without `/` at either end, is left out by
    /// itself: what is above it is not looked at.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut pattern = self.0.trim_start_matches('/').as_bytes().split(|&b| b == b'/');
        let mut names = path.split(|&b| b == b'/');
        loop {
            match (pattern.next(), names.next()) {
                (None, None) => return true,
                (Some(pattern), Some(name)) if matches_name(pattern, name) => {}
                _ => return false,
            }
        }
    }
}

/// Returns whether a name is that of a pattern in which `*` stands for anything.
fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    // The last star, and how far the name was when it was met.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            (p, n) = (at + 1, from + 1);
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

impl fmt::Display for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Exclude {
    type Err = ExcludeError;

    fn from_str(text: &str) -> Result<Self, ExcludeError> {
        let wrong = |why| Err(ExcludeError { text: text.to_owned(), why });
        let Some(rest) = text.strip_prefix('/') else { return wrong("does not begin with `/`") };
        if text.chars().any(char::is_control) {
            return wrong("has a character that cannot be shown");
        }
        if rest.is_empty() || rest.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return wrong("has an empty name, `.` or `..`");
        }
        Ok(Self(text.to_owned()))
    }
}

/// What every bundle leaves out: what the kernel makes, what is gone after a restart, what can be
/// fetched again, and machines and images that a host holds.
pub const USUAL_EXCLUDES: &[&str] = &[
    "/proc/*",
    "/sys/*",
    "/dev/*",
    "/run/*",
    "/tmp/*",
    "/var/tmp/*",
    "/mnt/*",
    "/media/*",
    "/lost+found",
    "/swapfile",
    "/swap.img",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/partial/*",
    "/var/cache/apt/*.bin",
    "/var/lib/apt/lists/*",
    "/var/cache/dnf/*",
    "/var/cache/libdnf5/*",
    "/var/cache/yum/*",
    "/var/cache/zypp/*",
    "/var/cache/pacman/pkg/*",
    "/var/cache/man/*",
    "/var/log/journal/*",
    "/root/.cache/*",
    "/home/*/.cache/*",
    "/var/lib/kiln/*",
    "/root/.local/share/kiln/*",
    "/home/*/.local/share/kiln/*",
    "/var/lib/libvirt/images/*",
];

/// What makes a machine that one, secrets among it: left out unless it is asked for.
pub const IDENTITY_EXCLUDES: &[&str] = &[
    "/etc/ssh/ssh_host_*_key",
    "/etc/ssh/ssh_host_*_key.pub",
    "/etc/ssh/ssh_host_*_key-cert.pub",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/etc/udev/rules.d/70-persistent-*.rules",
    "/var/lib/dhcp/dhclient*",
    "/var/lib/dhclient/dhclient*",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/NetworkManager/secret_key",
    "/root/.bash_history",
    "/home/*/.bash_history",
];

/// Returns the patterns of a bundle: the usual ones, those of the machine's identity, and more.
///
/// # Panics
///
/// Never: the lists here are patterns.
#[must_use]
pub fn excludes(usual: bool, identity: bool, more: &[Exclude]) -> Vec<Exclude> {
    let lists = [(usual, USUAL_EXCLUDES), (identity, IDENTITY_EXCLUDES)];
    let wanted = lists.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, list)| list);
    let fixed = wanted.map(|text| text.parse().expect("a pattern of the list"));
    fixed.chain(more.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let cases: [(&str, &str, bool); 9] = [
            ("/proc/*", "proc/1", true),
            ("/proc/*", "proc", false),
            ("/proc/*", "proc/1/fd", false),
            ("/etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_rsa_key", true),
            ("/etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_rsa_key.pub", false),
            ("/home/*/.cache/*", "home/kim/.cache/x", true),
            ("/a*b*c", "a__b_b_c", true),
            ("/a*b*c", "a__c_b", false),
            ("/a", "b/a", false),
        ];
        for (pattern, path, matches) in cases {
            let exclude: Exclude = pattern.parse().unwrap();
            assert_eq!(exclude.matches(path.as_bytes()), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, why) in [
            ("tmp", "does not begin with `/`"),
            ("/", "has an empty name, `.` or `..`"),
            ("/a//b", "has an empty name, `.` or `..`"),
            ("/a/../b", "has an empty name, `.` or `..`"),
            ("/a\nb", "has a character that cannot be shown"),
        ] {
            assert_eq!(text.parse::<Exclude>().unwrap_err().why, why, "{text:?}");
        }
        assert!(excludes(true, true, &[]).len() > 30);
    }

    /// The keys are public: this text may grow, and nothing in it may change.
    #[test]
    fn the_keys_are_stable_and_are_read_back() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = serde_json::json!({
            "format": 1,
            "name": "web",
            "arch": "amd64",
            "os": {"id": "debian", "version": "12", "pretty_name": "Debian GNU/Linux 12"},
            "kernel": "6.1.0-56-amd64",
            "firmware": ["bios"],
            "entries": 3,
            "tree_bytes": 5,
            "tar_bytes": 10_240,
            "file_size": 99,
            "digest": digest,
            "from": "ssh",
            "left_out": ["/proc/*"],
            "created": "2026-11-21T02:44:23Z",
            "tool": "kiln 0.1.0",
        });
        let manifest: BundleManifest = serde_json::from_value(text.clone()).unwrap();
        assert_eq!((manifest.from, manifest.arch), (Origin::Ssh, Some(Arch::Amd64)));
        assert_eq!(serde_json::to_value(manifest).unwrap(), text);
    }
}
