// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a bundle could not be made or used.

use std::io;
use std::path::PathBuf;

use kiln_disk::assemble::AssembleError;
use kiln_disk::tar::TarError;
use kiln_host::lock::LockError;
use kiln_spec::Digest;

use crate::catalog::http::HttpError;
use crate::catalog::openpgp::SignatureError;
use crate::catalog::url::AddressError;
use crate::store::StoreError;

/// Why a bundle could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("could not {doing} `{}`", path.display())]
    Io {
        /// What was tried: `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The stream cannot be packed.
    #[error("could not pack the tree")]
    Stream {
        /// What is wrong with it.
        source: TarError,
    },
    /// A file that is to be made is there.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No bundle has this name.
    #[error("there is no bundle `{wanted}`")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// A name that may have been meant.
        near: Option<String>,
    },
    /// A manifest cannot be read.
    #[error("`{}` is no manifest of a bundle", path.display())]
    Manifest {
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
    /// The file is not the one that its manifest tells of.
    #[error("`{}` has the digest {found}, and its manifest says {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What its manifest says.
        expected: Digest,
        /// What it has.
        found: Digest,
    },
    /// The file is not the one that was asked for.
    #[error("`{from}` has the digest {found}, and must have {expected}")]
    Unlike {
        /// Its address, or the file.
        from: String,
        /// What was asked for.
        expected: Digest,
        /// What it has.
        found: Digest,
    },
    /// No disk could be made of it.
    #[error("could not make a disk of `{}`", path.display())]
    Assemble {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: AssembleError,
    },
    /// The store could not be used.
    #[error("could not use the store of images")]
    Store(#[source] StoreError),
    /// A web server does not give it, or takes it.
    #[error("could not move the archive")]
    Http {
        /// Why.
        source: HttpError,
    },
    /// A web server takes no files.
    #[error("the server takes no files by PUT")]
    NoPut {
        /// What it answered.
        source: HttpError,
    },
    /// An address is none.
    #[error("could not make the address of a file")]
    Address {
        /// Why.
        source: AddressError,
    },
    /// A bundle calls itself by a name that none can have.
    #[error("the bundle calls itself `{name}`, which is no name for one")]
    Name {
        /// What it says.
        name: String,
    },
    /// An archive of others has no manifest.
    #[error("`{}` has no manifest", path.display())]
    NoManifest {
        /// The archive.
        path: PathBuf,
    },
    /// It is not signed by whom it must be signed, or cannot be signed.
    #[error("could not tell who made the bundle")]
    Signature {
        /// Why.
        source: SignatureError,
    },
    /// A lock cannot be taken.
    #[error("could not lock a file that is fetched")]
    Lock(#[source] LockError),
    /// Kiln was told to stop.
    #[error("stopped, because kiln was told to stop")]
    Interrupted,
}

impl BundleError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        if kiln_host::signal::interrupted() && source.kind() == io::ErrorKind::Interrupted {
            return Self::Interrupted;
        }
        Self::Io { doing, path: path.into(), source }
    }

    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::NotFound { .. } => Some(
                "`kiln bundle list` shows those with names; a file's path has a `/` in it".into(),
            ),
            Self::Digest { .. } => Some("fetch it again, or make it anew".into()),
            Self::Unlike { .. } => Some(
                "who published it may have another one there now: ask them for its digest".into(),
            ),
            Self::Assemble { source: AssembleError::TooSmall { need, .. }, .. } => {
                Some(format!("`--size {need}`"))
            }
            Self::NoPut { .. } => {
                Some("copy the two files there by other means: NAME.tar.zst and its .json".into())
            }
            Self::Name { .. } => Some("`--name NAME` gives it one".into()),
            Self::Signature { source } => source.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

impl From<StoreError> for BundleError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Interrupted => Self::Interrupted,
            other => Self::Store(other),
        }
    }
}
