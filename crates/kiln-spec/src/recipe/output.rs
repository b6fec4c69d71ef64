// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files that a build makes besides the image in the store, and what a cloud is to know of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PropertyName, PropertyValue};

/// Properties by name.
pub type Properties = BTreeMap<PropertyName, PropertyValue>;

/// A file that a build makes besides the image in the store.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Output {
    /// The disk as qcow2.
    Qcow2,
    /// The disk as qcow2, compressed with zstd: QEMU 5.1 or later.
    Qcow2Zstd,
    /// The disk as qcow2, compressed with zlib: any QEMU.
    Qcow2Zlib,
    /// The disk, byte for byte.
    Raw,
    /// The tree as a bundle: a compressed tar archive, and a manifest beside it.
    Tar,
    /// The tree as a file system that is only read.
    Squashfs,
}

impl Output {
    /// Returns its word in a recipe.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Qcow2Zstd => "qcow2-zstd",
            Self::Qcow2Zlib => "qcow2-zlib",
            Self::Raw => "raw",
            Self::Tar => "tar",
            Self::Squashfs => "squashfs",
        }
    }

    /// Returns the end of its file's name.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Qcow2 => ".qcow2",
            Self::Qcow2Zstd => ".zstd.qcow2",
            Self::Qcow2Zlib => ".zlib.qcow2",
            Self::Raw => ".raw",
            Self::Tar => ".tar.zst",
            Self::Squashfs => ".squashfs",
        }
    }
}
