// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Catalogs: where images come from by name.
//!
//! | module | what |
//! |---|---|
//! | [`source`] | where catalogs are defined, and whom each is believed |
//! | [`virt_builder`], [`simplestreams`], [`builtin`] | the kinds of catalogs |
//! | [`entry`] | what a catalog offers |
//! | [`pull`] | an image of a catalog into the store |
//! | [`repository`] | a folder of images made a repository, signed |
//! | [`openpgp`], [`checksum`] | what proves a file |
//! | [`http`], [`url`] | how a file is reached |
//!
//! **Invariant:** nothing of a catalog is believed before its signature was checked, unless the
//! user said that anybody may sign it; and no image is seen in the store before its checksum was.

pub mod builtin;
pub mod checksum;
pub mod entry;
pub mod http;
pub mod openpgp;
pub mod pull;
pub mod repository;
pub mod simplestreams;
pub mod source;
pub mod url;
pub mod virt_builder;

mod error;

use std::fmt;

use kiln_spec::yaml;

pub use entry::{Check, Entry, Proof};
pub use error::CatalogError;
pub use source::{Source, Sources, Trust};

use http::Http;
use openpgp::{OpenPgp, strip};
use url::Address;

/// The most that an index may have: Ubuntu's largest stream has 20 MiB.
const INDEX_MOST: u64 = 64 << 20;

/// Kinds of catalogs, in the order in which people see them.
pub const KINDS: &[&dyn Kind] =
    &[&virt_builder::VirtBuilder, &simplestreams::SimpleStreams, &builtin::BuiltIn];

/// A kind of catalog.
pub trait Kind: fmt::Debug + Sync {
    /// Returns the word for it in definitions; `None` for one that is not defined by users.
    fn word(&self) -> Option<&'static str>;

    /// Returns what it is, for people.
    fn about(&self) -> &'static str;

    /// Reads what a catalog offers.
    ///
    /// # Errors
    ///
    /// [`CatalogError`].
    fn read(&self, source: &Source, reader: &Reader<'_>) -> Result<Vec<Entry>, CatalogError>;
}

/// What catalogs are read with.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Fetches files.
    pub http: &'a Http,
    /// Checks signatures.
    pub openpgp: OpenPgp<'a>,
}

impl Reader<'_> {
    /// Reads what a catalog offers, hidden entries included, in its order.
    ///
    /// # Errors
    ///
    /// [`CatalogError::NoTrust`] if nobody said who may sign it; [`CatalogError::Signature`],
    /// [`CatalogError::Fetch`], [`CatalogError::Syntax`] and [`CatalogError::Stream`].
    pub fn read(&self, source: &Source) -> Result<Vec<Entry>, CatalogError> {
        if source.trust == Trust::Unknown {
            return Err(CatalogError::NoTrust { catalog: source.name.clone() });
        }
        source.kind.read(source, self)
    }

    /// Fetches a small file of a catalog.
    fn fetch(&self, source: &Source, url: &Address) -> Result<Vec<u8>, CatalogError> {
        let client = self.http.client(&source.proxy);
        let read = client.and_then(|client| client.read(url, INDEX_MOST));
        read.map_err(|error| CatalogError::fetch(&source.name, error))
    }

    /// Fetches a clear-signed text; returns the signed words, or, of a catalog that is taken
    /// unsigned, all words.
    fn signed_text(
        &self,
        source: &Source,
        url: &Address,
    ) -> Result<(Vec<u8>, Proof), CatalogError> {
        let text = self.fetch(source, url)?;
        match &source.trust {
            Trust::Signed(signers) => {
                let verified = self.openpgp.verify_clear(&text, signers, &url.to_string());
                let (words, key) =
                    verified.map_err(|error| CatalogError::signature(&source.name, error))?;
                Ok((words, Proof::Signed(key)))
            }
            Trust::Unsigned => Ok((strip(&text), Proof::Unsigned)),
            Trust::BuiltIn | Trust::Unknown => {
                Err(CatalogError::NoTrust { catalog: source.name.clone() })
            }
        }
    }
}

/// Finds the entry that `wanted` means: a name, an alias, or `CATALOG/NAME`. Of several the first
/// that fits counts: catalogs are asked in the order of `entries`.
///
/// `arch` is the processor, in any of its spellings; entries for others are passed over.
///
/// # Errors
///
/// [`CatalogError::NotFound`], with the nearest name.
pub fn find<'a>(entries: &'a [Entry], wanted: &str, arch: &str) -> Result<&'a Entry, CatalogError> {
    let fits = |entry: &&Entry| is_arch(entry, arch);
    let called = |entry: &&Entry| match wanted.split_once('/') {
        Some((catalog, name)) => entry.catalog == catalog && entry.is_called(name),
        None => entry.is_called(wanted),
    };
    let exact = |entry: &&Entry| entry.name == wanted;
    let found = entries.iter().filter(fits).find(exact);
    let found = found.or_else(|| entries.iter().filter(fits).find(called));
    found.ok_or_else(|| {
        let elsewhere = entries.iter().any(|entry| called(&entry));
        let name = wanted.rsplit('/').next().unwrap_or(wanted);
        let known = entries.iter().filter(fits).map(|entry| entry.name.as_str());
        CatalogError::NotFound {
            name: wanted.to_owned(),
            arch: elsewhere.then(|| arch.to_owned()),
            near: yaml::nearest(name, known).filter(|_| !elsewhere).map(str::to_owned),
        }
    })
}

/// Returns whether an entry is for a processor, however that is spelt.
#[must_use]
pub fn is_arch(entry: &Entry, arch: &str) -> bool {
    let same = |word: &str| match word {
        "x86_64" | "amd64" => "amd64".to_owned(),
        "aarch64" | "arm64" => "arm64".to_owned(),
        other => other.to_ascii_lowercase(),
    };
    same(&entry.arch) == same(arch)
}
