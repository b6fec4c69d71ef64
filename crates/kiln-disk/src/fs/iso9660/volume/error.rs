// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an ISO 9660 file system could not be read.

use std::io;

use crate::fs::ext::shown;

/// Why a call on an [`super::IsoFs`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsoFsError {
    /// The device failed.
    #[error("could not {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the device said.
        source: io::Error,
    },
    /// There is no ISO 9660 file system.
    #[error("there is no ISO 9660 file system: {why}")]
    NotIso {
        /// What is wrong in its volume descriptors.
        why: String,
    },
    /// What is written in the file system cannot be right.
    #[error("the ISO 9660 file system is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// A file is stored in a way that is not read.
    #[error("`{}` cannot be read: {how}", shown(name))]
    Unsupported {
        /// Its name.
        name: Vec<u8>,
        /// How it is stored.
        how: &'static str,
    },
    /// A directory is needed there, and something else is.
    #[error("`{}` is no directory", shown(path))]
    NotADirectory {
        /// The path, or the name.
        path: Vec<u8>,
    },
    /// It is not of the kind that is needed.
    #[error("`{}` is no {wanted}", shown(name))]
    WrongKind {
        /// The name.
        name: Vec<u8>,
        /// What it was taken for.
        wanted: &'static str,
    },
    /// A file is longer than its reader allows.
    #[error("a file of {size} bytes is longer than the {most} that were expected")]
    TooLong {
        /// Its length in bytes.
        size: u64,
        /// What was allowed.
        most: u64,
    },
}
