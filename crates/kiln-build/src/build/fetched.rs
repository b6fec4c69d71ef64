// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Archives that recipes name by their address: fetched once, proven, and kept for all builds.
//!
//! ```text
//! downloads/sha256-<digits>/part, state   what is there of it: see `catalog::pull`
//! downloads/sha256-<digits>/whole         the archive
//! ```
//!
//! **Invariant:** nothing is unpacked before its digest was right, also if it was kept.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_host::lock::Lock;
use kiln_host::signal;
use kiln_spec::{Bytes, Digest};

use super::perform::Means;
use crate::BuildError;
use crate::bundle::{BundleError, BundleFile};
use crate::catalog::CatalogError;
use crate::catalog::checksum::Checksum;
use crate::catalog::http::{HttpError, ProxyRule};
use crate::catalog::pull;
use crate::catalog::url::Address;
use crate::digest;
use crate::stage::{Event, Stage};

/// How many connections are used at most.
const CONNECTIONS: usize = 4;
/// How many bytes lie between two reports.
const STEP: u64 = 1 << 20;
/// What stands in for a catalog's name.
const NO_CATALOG: &str = "";

/// An archive that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    url: Address,
    digest: Digest,
}

impl Wanted {
    pub(super) fn new(url: &str, digest: Digest) -> Result<Self, BuildError> {
        let address = Address::parse(url);
        let url = address.map_err(|source| BuildError::Bundle(BundleError::Address { source }))?;
        Ok(Self { url, digest })
    }
}

/// An archive that is there, for as long as this is.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The archive.
    pub(super) file: BundleFile,
    _held: Lock,
}

/// Returns the archive: the one that was kept, or fetched now.
pub(super) fn fetch(wanted: &Wanted, means: &Means<'_>) -> Result<Fetched, BuildError> {
    let cache = means.cache;
    let held = cache.hold_downloads()?;
    let name = format!("sha256-{}", wanted.digest.hex());
    let _alone = Lock::wait(&cache.lock_of(&name)).map_err(BuildError::Lock)?;
    let folder = cache.downloads().join(&name);
    let whole = folder.join("whole");
    if !is_kept(&whole, wanted)? {
        fs::create_dir_all(&folder).map_err(|e| BuildError::io("make", &folder, e))?;
        let part = download(wanted, &folder, means)?;
        fs::rename(&part, &whole).map_err(|e| BuildError::io("write", &whole, e))?;
        // Only a hint for a download that goes on.
        fs::remove_file(folder.join("state")).ok();
    }
    let file = BundleFile::open(&whole).map_err(BuildError::Bundle)?;
    Ok(Fetched { file, _held: held })
}

/// Whether the archive is there and still what it was; one that is not is removed.
fn is_kept(whole: &Path, wanted: &Wanted) -> Result<bool, BuildError> {
    match digest::of_file(whole, &mut |_| !signal::interrupted()) {
        Ok(found) if found == wanted.digest => Ok(true),
        Ok(_) => match fs::remove_file(whole) {
            Ok(()) => Ok(false),
            Err(error) => Err(BuildError::io("remove", whole, error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(BuildError::Interrupted),
        Err(error) => Err(BuildError::io("read", whole, error)),
    }
}

fn download(wanted: &Wanted, folder: &Path, means: &Means<'_>) -> Result<PathBuf, BuildError> {
    let Wanted { url, digest } = wanted;
    means.reporter.tell(Event::Stage(Stage::Download));
    let failed = |source| BuildError::Bundle(BundleError::Http { source });
    let client = means.http.client(&ProxyRule::System).map_err(failed)?;
    let checksum = Checksum::from(digest);
    let file = pull::Wanted {
        catalog: NO_CATALOG,
        url,
        checksum: &checksum,
        length: None,
        connections: CONNECTIONS,
    };
    let told = Cell::new(0);
    let progress = |done: u64, of: u64| {
        if done >= told.get() + STEP {
            told.set(done);
            let of = (of > 0).then_some(Bytes(of));
            let stage = Stage::Download;
            means.reporter.tell(Event::Bytes { stage, done: Bytes(done), of });
        }
    };
    pull::download(&client, &file, folder, &progress).map_err(|error| explained(error, wanted))
}

/// Says of an archive what was found out as for an image of a catalog.
fn explained(error: CatalogError, Wanted { url, digest }: &Wanted) -> BuildError {
    let bundle = BuildError::Bundle;
    match error {
        CatalogError::Interrupted => BuildError::Interrupted,
        CatalogError::Fetch { source, .. } => bundle(BundleError::Http { source: *source }),
        CatalogError::Content { found, .. } => {
            let (from, expected) = (url.to_string(), digest.clone());
            match format!("sha256:{}", found.hex()).parse() {
                Ok(found) => bundle(BundleError::Unlike { from, expected, found }),
                Err(_) => BuildError::io("read", from, io::ErrorKind::InvalidData.into()),
            }
        }
        CatalogError::Changed { url } => {
            let what = "the file changed while it was fetched".to_owned();
            bundle(BundleError::Http { source: HttpError::Nonsense { url, what } })
        }
        CatalogError::NoSpace { folder, free, need } => {
            BuildError::NoSpace { folder, stage: Stage::Download, free, need }
        }
        CatalogError::Io { doing, path, source } => BuildError::io(doing, path, source),
        other => BuildError::io("fetch", url.to_string(), io::Error::other(other)),
    }
}
