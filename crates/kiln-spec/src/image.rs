// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is known of an image: its manifest.
//!
//! JSON, one object. Keys are stable: a later Kiln may add some, and a reader skips those that it
//! does not know; one that changes its meaning makes [`FORMAT`] larger.
//!
//! ```json
//! {
//!   "format": 1,
//!   "name": "debian-12",
//!   "arch": "amd64",
//!   "os": { "id": "debian", "version": "12", "pretty_name": "Debian GNU/Linux 12 (bookworm)" },
//!   "kernel": "6.1.0-56-cloud-amd64",
//!   "firmware": ["bios", "uefi"],
//!   "user": "debian",
//!   "min_memory": 536870912,
//!   "virtual_size": 2147483648,
//!   "file_size": 613220352,
//!   "disk_format": "qcow2",
//!   "digest": "sha256:…",
//!   "recipe_digest": "sha256:…",
//!   "created": "2026-11-21T02:44:23Z",
//!   "made": { "by": "recipe", "packages": 228 },
//!   "tools": { "kiln": "0.1.0", "mmdebstrap": "1.5.5", "qemu-img": "10.0.2" }
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Arch, Bytes};

/// The manifest's format that this Kiln writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// A file's digest, written `sha256:` and 64 hexadecimal digits in lower case.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no digest: `sha256:` and 64 hexadecimal digits in lower case make one")]
pub struct DigestError {
    /// The text.
    pub text: String,
}

impl Digest {
    /// Returns the digest with these 32 bytes of SHA-256.
    #[must_use]
    pub fn from_sha256(bytes: &[u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// Returns the first 12 digits: enough for people to tell images apart.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix("sha256:")
            .filter(|hex| {
                hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
            .map(|hex| Self(hex.to_owned()))
            .ok_or_else(|| DigestError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's format: [`FORMAT`].
    pub format: u32,
    /// The name that it was made under; others may be given to it.
    pub name: String,
    /// For which processors it is.
    pub arch: Arch,
    /// Its operating system.
    pub os: Os,
    /// The release of the kernel that it boots, as `uname -r` prints it; empty if it has none or it is not known.
    pub kernel: String,
    /// The firmware that can boot it.
    pub firmware: Vec<Firmware>,
    /// The account that cloud-init makes and that people log in to; empty if it is not known.
    pub user: String,
    /// The least memory of a machine made from it; 0 if it is not known.
    pub min_memory: Bytes,
    /// How large the machine sees the disk.
    pub virtual_size: Bytes,
    /// How long the file is.
    pub file_size: Bytes,
    /// The file's format: always `qcow2`.
    pub disk_format: DiskFormat,
    /// The file's digest.
    pub digest: Digest,
    /// The digest of the recipe that it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe_digest: Option<Digest>,
    /// When it was made: RFC 3339, in UTC.
    pub created: String,
    /// How it was made.
    pub made: Made,
    /// What a cloud is to know of it: properties of OpenStack's image service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// The programs that made it, each with its version.
    pub tools: BTreeMap<String, String>,
}

/// An operating system, by the words of its os-release(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`; empty for one that has no versions.
    pub version: String,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: String,
}

impl Os {
    /// Reads an os-release file. What it lacks has the default of os-release(5).
    #[must_use]
    pub fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
                .map(unquote)
                .next_back()
        };
        Self {
            id: value("ID").unwrap_or_else(|| "linux".into()),
            version: value("VERSION_ID").unwrap_or_default(),
            pretty_name: value("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
        }
    }
}

/// Takes a shell's quotes off a value of os-release(5), and what a terminal would obey.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::new();
    let mut chars = inner.chars().filter(|c| !c.is_control());
    while let Some(c) = chars.next() {
        if c == '\\' { text.extend(chars.next()) } else { text.push(c) }
    }
    text
}

/// What starts a machine's boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// A BIOS (SeaBIOS).
    Bios,
    /// UEFI (OVMF, AAVMF).
    Uefi,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        })
    }
}

/// The format of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DiskFormat {
    /// qcow2, version 3, without a backing file.
    Qcow2,
}

/// How an image was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Made {
    /// Built from a recipe.
    Recipe {
        /// How many packages are installed in it.
        packages: u32,
    },
    /// Changed from another image.
    Edited {
        /// The other one's digest, if it was one of the store.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Digest>,
        /// How many packages are installed in it.
        packages: u32,
    },
    /// Assembled from a bundle.
    Bundle {
        /// The digest of the bundle's file.
        digest: Digest,
    },
    /// Pulled from a catalog.
    Catalog {
        /// The catalog's name.
        catalog: String,
        /// The image's name there.
        image: String,
        /// The processor, as the catalog spells it.
        arch: String,
        /// Where the file was; no password is in it.
        url: String,
        /// The catalog's version of it; may be empty.
        version: String,
        /// What the file had, by the publisher: `sha256:…` or `sha512:…`.
        checksum: String,
        /// How that was proven, in words.
        proven: String,
    },
}

/// A digest as people write it: its digits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(crate) struct Sha256(pub(crate) Digest);

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(&text).to_ascii_lowercase();
        let wrong = |_| format!("`{text}` is no SHA-256: that has 64 hexadecimal digits");
        format!("sha256:{digits}").parse().map(Self).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64)).parse().unwrap();
        Manifest {
            format: FORMAT,
            name: "debian-12".into(),
            arch: Arch::Amd64,
            os: Os {
                id: "debian".into(),
                version: "12".into(),
                pretty_name: "Debian GNU/Linux 12 (bookworm)".into(),
            },
            kernel: "6.1.0-56-cloud-amd64".into(),
            firmware: vec![Firmware::Bios, Firmware::Uefi],
            user: "debian".into(),
            min_memory: Bytes::from_mib(512),
            virtual_size: Bytes::from_gib(2),
            file_size: Bytes(613_220_352),
            disk_format: DiskFormat::Qcow2,
            digest: digest('a'),
            recipe_digest: Some(digest('b')),
            created: "2026-11-21T02:44:23Z".into(),
            made: Made::Recipe { packages: 228 },
            properties: BTreeMap::new(),
            tools: BTreeMap::from([("kiln".into(), "0.1.0".into())]),
        }
    }

    /// The keys are public: this text may grow, and nothing in it may change.
    #[test]
    fn the_keys_are_stable_and_are_read_back() {
        let expected = serde_json::json!({
            "format": 1,
            "name": "debian-12",
            "arch": "amd64",
            "os": {"id": "debian", "version": "12", "pretty_name": "Debian GNU/Linux 12 (bookworm)"},
            "kernel": "6.1.0-56-cloud-amd64",
            "firmware": ["bios", "uefi"],
            "user": "debian",
            "min_memory": 536_870_912_u64,
            "virtual_size": 2_147_483_648_u64,
            "file_size": 613_220_352_u64,
            "disk_format": "qcow2",
            "digest": format!("sha256:{}", "a".repeat(64)),
            "recipe_digest": format!("sha256:{}", "b".repeat(64)),
            "created": "2026-11-21T02:44:23Z",
            "made": {"by": "recipe", "packages": 228},
            "tools": {"kiln": "0.1.0"},
        });
        assert_eq!(serde_json::to_value(manifest()).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Manifest>(expected).unwrap(), manifest());
    }

    #[test]
    fn keys_of_a_later_kiln_are_skipped() {
        let mut value = serde_json::to_value(manifest()).unwrap();
        value["licence"] = "MIT".into();
        assert_eq!(serde_json::from_value::<Manifest>(value).unwrap(), manifest());
    }

    #[test]
    fn digests_are_checked() {
        for wrong in ["", "sha256:", "sha512:aa", &format!("sha256:{}", "A".repeat(64))] {
            assert_eq!(
                wrong.parse::<Digest>().unwrap_err().to_string(),
                format!(
                    "`{wrong}` is no digest: `sha256:` and 64 hexadecimal digits in lower case \
                     make one"
                )
            );
        }
        let digest = Digest::from_sha256(&[0xab; 32]);
        assert_eq!(digest.to_string(), format!("sha256:{}", "ab".repeat(32)));
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn os_release_is_read() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(Os::from_os_release(text), manifest().os);
        assert_eq!(
            Os::from_os_release(""),
            Os { id: "linux".into(), version: String::new(), pretty_name: "Linux".into() }
        );
    }
}
