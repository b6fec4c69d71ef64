// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a catalog offers: an image by name, where it is, and how it is proven.

use std::collections::BTreeMap;

use kiln_spec::image::{Firmware, Os};
use kiln_spec::{Arch, Bytes};

use super::checksum::Checksum;
use super::openpgp::Fingerprint;
use super::url::Address;

/// An image that a catalog offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The catalog's name.
    pub catalog: String,
    /// The image's name in it.
    pub name: String,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// The name for people.
    pub title: String,
    /// The processor, as the catalog spells it: `x86_64`, `amd64`.
    pub arch: String,
    /// The operating system; what is not known is empty.
    pub os: Os,
    /// Where the file is.
    pub url: Address,
    /// Which checksum it has.
    pub check: Check,
    /// The version of the image: a revision, a date, a serial; empty if only its checksum tells.
    pub version: String,
    /// The file's format, once it is unpacked: `raw` or `qcow2`; `None` for what it shows.
    pub format: Option<String>,
    /// How large a machine sees the disk.
    pub size: Option<Bytes>,
    /// How long the file is.
    pub download: Option<Bytes>,
    /// The account that cloud-init makes, if that is known.
    pub user: Option<String>,
    /// The firmware that boots it; empty if that is not known.
    pub firmware: Vec<Firmware>,
    /// Notes by language; the key is empty for those without one.
    pub notes: BTreeMap<String, String>,
    /// Whether lists leave it out.
    pub hidden: bool,
    /// How the catalog was proven.
    pub proof: Proof,
}

/// Which checksum a file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// This one.
    Known(Checksum),
    /// The one that a file of checksums beside it says.
    Beside(Sums),
    /// The catalog has none: the image cannot be pulled.
    Missing,
}

/// A file of checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Where it is.
    pub url: Address,
    /// How it is signed.
    pub signature: SumsSignature,
}

/// How a file of checksums is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SumsSignature {
    /// Not at all: whoever can change what the server sends, or get a certificate for its name,
    /// can change the image.
    None,
    /// It is a clear-signed text.
    Clear {
        /// The keys that may have signed it, armoured.
        keys: &'static str,
        /// The key that must have.
        fingerprint: Fingerprint,
    },
    /// In a file beside it.
    Detached {
        /// Where that is.
        url: Address,
        /// The keys that may have signed it, armoured.
        keys: &'static str,
        /// The key that must have.
        fingerprint: Fingerprint,
    },
}

/// How what a catalog says was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a signature of this key.
    Signed(Fingerprint),
    /// By nothing but the connection to the server, because the user said so.
    Unsigned,
    /// It is of no catalog: who asks for it says its checksum.
    Given,
    /// It comes with Kiln; the checksums are fetched when an image is.
    BuiltIn,
}

impl Entry {
    /// Returns the processor, if it is one that machines can have.
    #[must_use]
    pub fn processor(&self) -> Option<Arch> {
        match self.arch.as_str() {
            "x86_64" | "amd64" => Some(Arch::Amd64),
            "aarch64" | "arm64" => Some(Arch::Arm64),
            _ => None,
        }
    }

    /// Returns whether this is the entry's name or one of its aliases.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Returns the notes in the language of a locale such as `ja_JP.UTF-8`, else those without a
    /// language, else those in English.
    #[must_use]
    pub fn notes_for(&self, locale: &str) -> Option<&str> {
        let region = locale.split('.').next().unwrap_or_default();
        let language = region.split('_').next().unwrap_or_default();
        [region, language, "", "en"].iter().find_map(|key| self.notes.get(*key)).map(String::as_str)
    }

    /// Returns in a few words how an image of this entry is proven.
    #[must_use]
    pub fn proven_by(&self) -> String {
        match (&self.proof, &self.check) {
            (_, Check::Missing) => "nothing: no checksum".into(),
            (Proof::Signed(key), _) => format!("signature {}", short(key)),
            (Proof::Unsigned, _) => "checksum, UNSIGNED".into(),
            (Proof::Given, _) | (Proof::BuiltIn, Check::Known(_)) => "checksum".into(),
            (Proof::BuiltIn, Check::Beside(sums)) => match &sums.signature {
                SumsSignature::None => "HTTPS + checksum".into(),
                SumsSignature::Clear { fingerprint, .. }
                | SumsSignature::Detached { fingerprint, .. } => {
                    format!("signature {}", short(fingerprint))
                }
            },
        }
    }
}

fn short(fingerprint: &Fingerprint) -> &str {
    let text = fingerprint.as_str();
    &text[text.len() - 16..]
}
