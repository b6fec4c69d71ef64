// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Processor architectures, which Debian, the kernel and QEMU each call differently.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A processor architecture that machines can have. Written in files by its Debian name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub enum Arch {
    /// 64-bit x86: Debian's `amd64`, QEMU's `x86_64`.
    Amd64,
    /// 64-bit Arm: Debian's `arm64`, QEMU's `aarch64`.
    Arm64,
}

/// A word that names no architecture that Kiln knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no architecture that kiln knows: `amd64` and `arm64` are")]
pub struct ArchError {
    /// The word.
    pub word: String,
}

impl Arch {
    /// Every architecture that Kiln knows.
    pub const ALL: &'static [Self] = &[Self::Amd64, Self::Arm64];

    /// Returns the architecture that this program was compiled for, if Kiln knows it.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::Amd64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else {
            None
        }
    }

    /// Returns Debian's name: `amd64`, `arm64`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns the name that QEMU, libvirt and the kernel use: `x86_64`, `aarch64`.
    #[must_use]
    pub const fn qemu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Arch {
    type Err = ArchError;

    /// Reads Debian's name and QEMU's.
    fn from_str(word: &str) -> Result<Self, ArchError> {
        Self::ALL
            .iter()
            .copied()
            .find(|arch| word == arch.as_str() || word == arch.qemu())
            .ok_or_else(|| ArchError { word: word.to_owned() })
    }
}

impl TryFrom<String> for Arch {
    type Error = ArchError;

    fn try_from(word: String) -> Result<Self, ArchError> {
        word.parse()
    }
}

impl From<Arch> for String {
    fn from(arch: Arch) -> Self {
        arch.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_read_and_debians_is_written() {
        for arch in Arch::ALL.iter().copied() {
            assert_eq!(arch.as_str().parse(), Ok(arch));
            assert_eq!(arch.qemu().parse(), Ok(arch));
            let json = serde_json::to_string(&arch).unwrap();
            assert_eq!(json, format!("\"{arch}\""));
            assert_eq!(serde_json::from_str::<Arch>(&json).unwrap(), arch);
        }
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = "i386".parse::<Arch>().unwrap_err().to_string();
        assert_eq!(error, "`i386` is no architecture that kiln knows: `amd64` and `arm64` are");
    }
}
