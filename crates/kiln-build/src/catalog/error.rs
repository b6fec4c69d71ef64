// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a catalog could not be read, or an image not be pulled.

use std::io;
use std::path::PathBuf;

use kiln_disk::convert::ConvertError;
use kiln_disk::format::FormatError;
use kiln_spec::Bytes;

use super::checksum::Checksum;
use super::http::HttpError;
use super::openpgp::SignatureError;
use super::url::{Address, AddressError};
use crate::store::StoreError;

/// Why a catalog could not be read, or an image not be pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// An index, a definition or a stream is not as it must be.
    #[error("`{file}`, line {line}: {what}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A JSON file is not as it must be.
    #[error("`{file}` cannot be understood: {what}")]
    Stream {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// Nobody said whose signature counts.
    #[error("nothing says who may sign the catalog `{catalog}`")]
    NoTrust {
        /// The catalog.
        catalog: String,
    },
    /// No catalog has this name.
    #[error("there is no catalog `{name}`")]
    NoCatalog {
        /// The name.
        name: String,
        /// The nearest that exists.
        near: Option<String>,
    },
    /// A catalog has this name already.
    #[error("there is a catalog `{name}` already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The catalog is another's file.
    #[error("the catalog `{name}` is defined in `{place}`")]
    NotOurs {
        /// The catalog.
        name: String,
        /// What defines it.
        place: String,
    },
    /// No catalog offers this image.
    #[error("no catalog has an image `{name}`{}", for_arch(arch.as_deref()))]
    NotFound {
        /// The image.
        name: String,
        /// The processor that was asked for.
        arch: Option<String>,
        /// The nearest that exists.
        near: Option<String>,
    },
    /// The catalog gives no checksum that can be trusted.
    #[error("the catalog `{catalog}` has no SHA-256 or SHA-512 of `{image}`")]
    NoChecksum {
        /// The catalog.
        catalog: String,
        /// The image or its file.
        image: String,
    },
    /// A signature does not count.
    #[error("the catalog `{catalog}` cannot be trusted")]
    Signature {
        /// The catalog.
        catalog: String,
        /// Why.
        source: Box<SignatureError>,
    },
    /// GnuPG did not do its work.
    #[error("could not sign `{}`", path.display())]
    Sign {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<SignatureError>,
    },
    /// A file cannot be fetched.
    #[error("could not fetch a file of the catalog `{catalog}`")]
    Fetch {
        /// The catalog.
        catalog: String,
        /// Why.
        source: Box<HttpError>,
    },
    /// The file is not as long as the catalog says.
    #[error("`{url}` has {found}, and the catalog says {expected}")]
    Length {
        /// The file.
        url: Address,
        /// Its length.
        found: Bytes,
        /// What the catalog says.
        expected: Bytes,
    },
    /// The file is not what the catalog says.
    #[error("`{url}` is not what the catalog says: it has `{found}`, not `{expected}`")]
    Content {
        /// The file.
        url: Address,
        /// Its checksum.
        found: Checksum,
        /// What the catalog says.
        expected: Checksum,
    },
    /// The file changed on the server while it was fetched.
    #[error("`{url}` changed while it was fetched")]
    Changed {
        /// The file.
        url: Address,
    },
    /// What was fetched cannot be unpacked.
    #[error("could not unpack `{file}`")]
    Unpack {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// What was unpacked is no image that can be used.
    #[error("`{file}` is no image that kiln can use")]
    Image {
        /// The file.
        file: String,
        /// Why.
        source: Box<FormatError>,
    },
    /// What was unpacked is not what the catalog says of it.
    #[error("`{file}` is not what the catalog says: {what}")]
    Unlike {
        /// The file.
        file: String,
        /// What differs.
        what: String,
    },
    /// The image cannot be written as qcow2.
    #[error("could not write `{file}` as qcow2")]
    Convert {
        /// The file.
        file: String,
        /// Why.
        source: Box<ConvertError>,
    },
    /// There is too little space.
    #[error("there is no space left in `{}`: {free} are free, and {need} are needed", folder.display())]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// How much is free.
        free: Bytes,
        /// How much is needed.
        need: Bytes,
    },
    /// An address is wrong.
    #[error("the address of the catalog `{catalog}` is wrong")]
    Address {
        /// The catalog.
        catalog: String,
        /// Why.
        source: AddressError,
    },
    /// A name is none that a catalog or an image can have.
    #[error("`{name}` is no name for {what}: {why}")]
    Name {
        /// The name.
        name: String,
        /// For what.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A file or folder cannot be used.
    #[error("could not {doing} `{}`", path.display())]
    Io {
        /// What was tried: `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store could not be used.
    #[error("could not use the store of images")]
    Store(#[source] Box<StoreError>),
    /// Kiln was told to stop.
    #[error("stopped, because kiln was told to stop; what is fetched is kept")]
    Interrupted,
}

fn for_arch(arch: Option<&str>) -> String {
    arch.map_or_else(String::new, |arch| format!(" for {arch}"))
}

impl CatalogError {
    pub(super) fn syntax(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self::Syntax { file: file.to_owned(), line, what: what.into() }
    }

    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { doing, path: path.into(), source }
    }

    /// An error of reading or writing, or that Kiln was told to stop meanwhile.
    pub(super) fn stopped_or(
        doing: &'static str,
        path: impl Into<PathBuf>,
        source: io::Error,
    ) -> Self {
        if source.kind() == io::ErrorKind::Interrupted && kiln_host::signal::interrupted() {
            return Self::Interrupted;
        }
        Self::io(doing, path, source)
    }

    /// Returns whether there was too little space.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        let full = |e: &io::Error| {
            matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<io::Error>().is_some_and(full) {
                return true;
            }
            cause = error.source();
        }
        matches!(self, Self::NoSpace { .. })
    }

    pub(super) fn fetch(catalog: &str, source: HttpError) -> Self {
        Self::Fetch { catalog: catalog.to_owned(), source: Box::new(source) }
    }

    pub(super) fn signature(catalog: &str, source: SignatureError) -> Self {
        Self::Signature { catalog: catalog.to_owned(), source: Box::new(source) }
    }

    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTrust { catalog } => Some(format!(
                "`kiln catalog add {catalog} ADDRESS` with `--key FILE` or `--fingerprint DIGITS` \
                 says who; `--unsigned` takes it from anybody"
            )),
            Self::NoCatalog { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::NoCatalog { .. } => Some("`kiln catalog list` shows them".into()),
            Self::Exists { name } => Some(format!("`kiln catalog rm {name}` removes it")),
            Self::NotOurs { place, .. } => Some(format!("it goes with `{place}`")),
            Self::NotFound { near: Some(near), .. } => {
                Some(format!("did you mean `{near}`? `kiln catalog search` shows all"))
            }
            Self::NotFound { .. } => Some("`kiln catalog search` shows all".into()),
            Self::Signature { source, .. } | Self::Sign { source, .. } => source.hint(),
            Self::Content { .. } | Self::Changed { .. } | Self::Length { .. } => {
                Some("the publisher may be changing it just now: try again; else ask them".into())
            }
            Self::NoSpace { .. } => Some("free some space and try again".into()),
            Self::Image { source, .. } => source.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

impl From<StoreError> for CatalogError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Interrupted => Self::Interrupted,
            other => Self::Store(Box::new(other)),
        }
    }
}
