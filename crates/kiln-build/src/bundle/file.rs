// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A bundle on disk: the archive, and its manifest beside it if it has one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_disk::decompress::{self, Decompressed, ReadAhead};
use kiln_host::read;
use kiln_spec::Digest;
use kiln_spec::bundle::{BundleManifest, FORMAT, MANIFEST_ENDING};
use ring::digest::{Context, SHA256};

use super::BundleError;
use crate::digest;

/// The most bytes of a manifest.
pub(super) const MOST_MANIFEST: u64 = 1 << 20;

/// A bundle on disk. An archive of others has no manifest, and can be assembled, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// The archive.
    pub path: PathBuf,
    /// What is known of it.
    pub manifest: Option<BundleManifest>,
}

/// Returns where the manifest of the bundle `path` is: `NAME.tar.zst.json`.
pub(super) fn manifest_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(MANIFEST_ENDING);
    name.into()
}

/// Returns whether a file is a tar archive, compressed or not, by its first bytes.
///
/// # Errors
///
/// What reading says.
pub fn is_bundle(path: &Path) -> io::Result<bool> {
    let head = decompress::beginning(File::open(path)?, 512);
    // What is no such stream after all is no bundle.
    Ok(head.is_ok_and(|head| head.get(257..262) == Some(b"ustar")))
}

impl BundleFile {
    /// Opens the bundle `path`.
    ///
    /// # Errors
    ///
    /// [`BundleError::Io`] if it cannot be read; [`BundleError::Manifest`],
    /// [`BundleError::Later`].
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        File::open(path).map_err(|source| BundleError::io("read", path, source))?;
        let place = manifest_path(path);
        let manifest = match read::bounded(&place, MOST_MANIFEST) {
            Ok(bytes) => Some(parse(&place, &bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(BundleError::io("read", place, error)),
        };
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Returns its name: that of its manifest, else its file's.
    #[must_use]
    pub fn name(&self) -> String {
        let of_file = || {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            name.split(".tar").next().unwrap_or_default().to_owned()
        };
        self.manifest.as_ref().map_or_else(of_file, |manifest| manifest.name.clone())
    }

    /// Returns its digest: that of its manifest, else that of its contents. `read` gets the number
    /// of bytes read so far, and says whether to go on.
    ///
    /// # Errors
    ///
    /// [`BundleError::Io`], [`BundleError::Interrupted`].
    pub fn digest(&self, read: &mut dyn FnMut(u64) -> bool) -> Result<Digest, BundleError> {
        match &self.manifest {
            Some(manifest) => Ok(manifest.digest.clone()),
            None => self.hash(read),
        }
    }

    fn hash(&self, read: &mut dyn FnMut(u64) -> bool) -> Result<Digest, BundleError> {
        let hashed = digest::of_file(&self.path, read);
        hashed.map_err(|source| BundleError::io("read", &self.path, source))
    }

    /// Reads all of it and compares it with its manifest; nothing without one. `read` is as for
    /// [`BundleFile::digest`].
    ///
    /// # Errors
    ///
    /// [`BundleError::Digest`]; as [`BundleFile::digest`].
    pub fn verify(&self, read: &mut dyn FnMut(u64) -> bool) -> Result<(), BundleError> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let (expected, found) = (manifest.digest.clone(), self.hash(read)?);
        if found == expected {
            return Ok(());
        }
        Err(BundleError::Digest { path: self.path.clone(), expected, found })
    }

    /// Returns something that identifies it without reading it: digest, or name and times.
    pub(super) fn key(&self) -> Result<Digest, BundleError> {
        if let Some(manifest) = &self.manifest {
            return Ok(manifest.digest.clone());
        }
        let about = std::fs::metadata(&self.path);
        let about = about.map_err(|source| BundleError::io("read", &self.path, source))?;
        let times = (about.len(), about.mtime(), about.mtime_nsec(), about.ino());
        Ok(digest::of_bytes(format!("{} {times:?}", self.path.display()).as_bytes()))
    }

    /// Returns its archive, decompressed. Read to its end it fails if the digest is not that of
    /// the manifest. Reading, hashing and decompressing are done by threads of their own.
    pub(crate) fn archive(&self) -> Result<Decompressed, BundleError> {
        let failed = |source| BundleError::io("read", &self.path, source);
        let file = File::open(&self.path).map_err(failed)?;
        let stream = match &self.manifest {
            None => Decompressed::new(file),
            Some(manifest) => ReadAhead::new(Verifying {
                file,
                hash: Some(Context::new(&SHA256)),
                expected: manifest.digest.clone(),
            })
            .and_then(Decompressed::new),
        };
        stream.map_err(failed)
    }
}

/// Reads a manifest.
pub(super) fn parse(place: &Path, bytes: &[u8]) -> Result<BundleManifest, BundleError> {
    let wrong = |source| BundleError::Manifest { path: place.to_owned(), source };
    let manifest: BundleManifest = serde_json::from_slice(bytes).map_err(wrong)?;
    if manifest.format > FORMAT {
        return Err(BundleError::Later { path: place.to_owned(), format: manifest.format });
    }
    Ok(manifest)
}

/// A file that is hashed as it is read, and that ends with an error if it is another one.
struct Verifying {
    file: File,
    hash: Option<Context>,
    expected: Digest,
}

impl Read for Verifying {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buf)?;
        if got > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&buf[..got]);
            }
        } else if !buf.is_empty()
            && let Some(hash) = self.hash.take()
        {
            let found = hash.finish();
            let found = found.as_ref().try_into().expect("SHA-256 has 32 bytes");
            if Digest::from_sha256(found) != self.expected {
                let text = "its digest is not that of its manifest";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(got)
    }
}
