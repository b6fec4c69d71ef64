// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a file is not taken as an image.

use kiln_spec::Bytes;

use crate::fs::ext::shown;

/// Why a file is not taken as an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It cannot be read.
    #[error("could not read `{name}`")]
    Io {
        /// The file.
        name: String,
        /// What the host says.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("`{name}` is no disk image: it is {what}")]
    NotAnImage {
        /// The file.
        name: String,
        /// What it is, with its article.
        what: &'static str,
    },
    /// It is, or may hold, an image that is not read here.
    #[error("`{name}` is {what}, which cannot be used as it is")]
    Unsupported {
        /// The file.
        name: String,
        /// What it is, with its article.
        what: &'static str,
        /// The command that makes a usable image of it.
        hint: String,
    },
    /// A field of a qcow2 header is wrong.
    #[error("`{name}` has a damaged qcow2 header: {what}")]
    Header {
        /// The file.
        name: String,
        /// The field and its value.
        what: String,
    },
    /// A qcow2 file needs something that only newer programs know.
    #[error("`{name}` is a qcow2 file with an unknown feature: {feature}")]
    Feature {
        /// The file.
        name: String,
        /// The feature's name or bit.
        feature: String,
    },
    /// A qcow2 table cannot be right.
    #[error("`{name}` has a damaged qcow2 table: {what}")]
    Tables {
        /// The file.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// An image in another format is damaged, or names a file that it must not.
    #[error("`{name}` is damaged or refused: {what}")]
    Foreign {
        /// The file.
        name: String,
        /// What is wrong, or what it names.
        what: String,
    },
    /// The end is missing.
    #[error("`{name}` is cut off: at least {missing} are missing at its end")]
    Truncated {
        /// The file.
        name: String,
        /// How much is missing at least.
        missing: Bytes,
    },
    /// A raw image is no whole number of sectors.
    #[error("`{name}` is cut off or no disk: its {} bytes are no multiple of 512", size.0)]
    Length {
        /// The file.
        name: String,
        /// The file's size.
        size: Bytes,
    },
    /// It takes what it does not hold itself from another file.
    #[error("`{name}` is no image by itself: it needs its backing file `{}`", shown(backing.as_bytes()))]
    BackingFile {
        /// The file.
        name: String,
        /// The other file, as the header names it.
        backing: String,
    },
    /// It has its data in another file.
    #[error("`{name}` is no image by itself: its data is in `{}`", shown(data.as_bytes()))]
    DataFile {
        /// The file.
        name: String,
        /// The other file, as the header names it; may be empty.
        data: String,
    },
    /// It is read but not changed.
    #[error("`{name}` cannot be changed: {why}")]
    Unchangeable {
        /// The file.
        name: String,
        /// What it has that changes would damage.
        why: &'static str,
        /// What can be done, with the command.
        hint: String,
    },
    /// It needs a key.
    #[error("`{name}` is encrypted")]
    Encrypted {
        /// The file.
        name: String,
    },
    /// QEMU found it damaged.
    #[error("`{name}` is marked as corrupt")]
    Corrupt {
        /// The file.
        name: String,
    },
    /// It was not closed by its last user.
    #[error("`{name}` was not closed by its last user")]
    Dirty {
        /// The file.
        name: String,
    },
}

impl FormatError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let flatten = |name: &str| format!("qemu-img convert -O qcow2 {name} whole.qcow2");
        match self {
            Self::Unsupported { hint, .. } | Self::Unchangeable { hint, .. } => Some(hint.clone()),
            Self::BackingFile { name, .. } | Self::DataFile { name, .. } => {
                Some(format!("if you trust it, make one image of both: `{}`", flatten(name)))
            }
            Self::Corrupt { name } | Self::Dirty { name } | Self::Tables { name, .. } => {
                Some(format!("look at it with `kiln image check {name}`"))
            }
            Self::Truncated { .. } | Self::Length { .. } => {
                Some("copy or download it again, and compare its checksum".to_owned())
            }
            Self::Feature { name, .. } => {
                Some(format!("write it anew with the QEMU that made it: `{}`", flatten(name)))
            }
            Self::Io { .. }
            | Self::NotAnImage { .. }
            | Self::Header { .. }
            | Self::Foreign { .. } => None,
            Self::Encrypted { .. } => {
                Some("name a file with its passphrase by `--key-file FILE`".to_owned())
            }
        }
    }
}
