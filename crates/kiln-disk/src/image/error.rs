// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an image is not opened or not changed.

use std::io;

use crate::format::FormatError;

/// Why an image is not opened or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// What the file holds is not taken.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The host says no.
    #[error("could not {what} `{name}`")]
    Io {
        /// What was tried: "open", "read", "write".
        what: &'static str,
        /// The file.
        name: String,
        /// What the host says.
        source: io::Error,
    },
    /// It is a folder, a socket or another thing without bytes.
    #[error("`{name}` is neither a file nor a disk of the host")]
    NotAFile {
        /// The path.
        name: String,
    },
    /// It was opened to be read.
    #[error("`{name}` was opened for reading only")]
    ReadOnly {
        /// The file.
        name: String,
    },
}

impl ImageError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format(error) => error.hint(),
            Self::Io { .. } | Self::NotAFile { .. } | Self::ReadOnly { .. } => None,
        }
    }

    /// Returns the error of a call that failed on the file `name`.
    pub(crate) fn io(what: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Io { what, name, source }
    }
}
