// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why the store could not do what it was asked for.

use std::io;
use std::path::PathBuf;

use kiln_host::lock::LockError;
use kiln_spec::{Bytes, Digest};

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No image has this name or digest.
    #[error("there is no image `{wanted}` in the store")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The names of images that may have been meant, the nearest first.
        near: Vec<String>,
    },
    /// Several images' digests begin like this.
    #[error("`{wanted}` could be any of {} images", digests.len())]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The digests that begin so.
        digests: Vec<Digest>,
    },
    /// An image has the name already.
    #[error("there is an image `{name}` in the store already")]
    Taken {
        /// The name.
        name: String,
    },
    /// An image's file is not what its manifest says.
    #[error("the image `{}` is damaged: {what}", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A manifest or a name cannot be read.
    #[error("`{}` cannot be understood", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A manifest that a later Kiln wrote.
    #[error("`{}` has format {format}, which a later kiln wrote", path.display())]
    Later {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A file or folder of the store cannot be used.
    #[error("could not {doing} `{}`", path.display())]
    Io {
        /// What was tried: `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A lock cannot be taken.
    #[error("could not use the store")]
    Lock(#[from] LockError),
    /// Kiln was told to stop.
    #[error("stopped, because kiln was told to stop")]
    Interrupted,
}

impl StoreError {
    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { near, .. } => Some(near.first().map_or_else(
                || "`kiln image list` shows the images".into(),
                |near| format!("did you mean `{near}`?"),
            )),
            Self::Ambiguous { digests, .. } => {
                let list: Vec<_> = digests.iter().map(|d| d.short().to_owned()).collect();
                Some(format!("they are {}", list.join(", ")))
            }
            Self::Damaged { .. } => Some("remove the image and build it again".into()),
            Self::Later { .. } => Some("use the kiln that wrote it, or a newer one".into()),
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::Interrupted && kiln_host::signal::interrupted() {
            return Self::Interrupted;
        }
        Self::Io { doing, path: path.into(), source }
    }
}

/// How an image's file differs from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is not as long.
    #[error("the file has {found}, and the manifest says {expected}")]
    Length {
        /// Its length.
        found: Bytes,
        /// What the manifest says.
        expected: Bytes,
    },
    /// It has other content.
    #[error("the file's digest is `{found}`")]
    Content {
        /// Its digest.
        found: Digest,
    },
}
