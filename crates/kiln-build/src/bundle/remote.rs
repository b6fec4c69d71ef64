// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bundles on a web server: any that serves files, and for [`push`] one that takes them by PUT.
//!
//! A bundle is two files there: the archive, and its manifest with `.json` after its name. What was
//! fetched stays beside the shelf's bundles until it is whole, so that the next try goes on.
//!
//! **Invariant:** a bundle has its name only when its digest was that of its manifest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use kiln_host::lock::Lock;
use kiln_spec::bundle::{BundleManifest, ENDING, MANIFEST_ENDING};
use kiln_spec::recipe::ImageName;
use kiln_spec::{Bytes, Digest};

use super::file::{MOST_MANIFEST, manifest_path, parse};
use super::pack::write_manifest;
use super::sign::{self, Checked, SIGNATURE_ENDING, signature_path};
use super::{BundleError, BundleFile, Shelf};
use crate::catalog::http::{Client, HttpError};
use crate::catalog::url::Address;
use crate::digest;

/// How often in a row a server may break off without having sent anything.
const TRIES: u32 = 4;
/// Bytes that are written together.
const BUFFER: usize = 1 << 20;

/// Is told how many bytes are there, and of how many.
pub type OnBytes<'a> = &'a mut dyn FnMut(Bytes, Bytes);

fn http(source: HttpError) -> BundleError {
    BundleError::Http { source }
}

/// Returns the address of the file of a bundle with something after its name.
pub(super) fn beside(url: &Address, ending: &str) -> Result<Address, BundleError> {
    let text = format!("{}{ending}", url.secret());
    Address::parse(&text).map_err(|source| BundleError::Address { source })
}

/// Fetches the bundle at `url` onto the shelf, under `name` or its own; one that is there with the
/// same digest is not fetched again. With `checked` its manifest must be signed, and nothing else
/// is read of one that is not; with `expected` it must be the manifest of that archive.
///
/// # Effects
///
/// What came of a fetch that failed stays in a hidden file of the shelf, and the next one goes on.
///
/// # Errors
///
/// [`BundleError::Http`], [`BundleError::Signature`], [`BundleError::Manifest`], [`BundleError::Name`] if it calls itself by no
/// name, [`BundleError::Unlike`], [`BundleError::Exists`] if another bundle has the name, [`BundleError::Digest`],
/// [`BundleError::Interrupted`].
pub fn pull(
    client: &Client<'_>,
    url: &Address,
    (shelf, name): (&Shelf, Option<&ImageName>),
    (checked, expected): (Option<Checked<'_>>, Option<&Digest>),
    on_bytes: OnBytes<'_>,
) -> Result<BundleFile, BundleError> {
    let place = beside(url, MANIFEST_ENDING)?;
    let bytes = client.read(&place, MOST_MANIFEST).map_err(http)?;
    if let Some(checked) = checked {
        sign::check(client, url, &bytes, checked)?;
    }
    let manifest = parse(Path::new(&place.to_string()), &bytes)?;
    if let Some(expected) = expected.filter(|expected| **expected != manifest.digest) {
        let (from, expected) = (url.to_string(), expected.clone());
        return Err(BundleError::Unlike { from, expected, found: manifest.digest });
    }
    let name = match name {
        Some(name) => name.clone(),
        None => manifest
            .name
            .parse()
            .map_err(|_| BundleError::Name { name: manifest.name.escape_debug().to_string() })?,
    };
    let to = shelf.place(&name);
    if let Some(there) = same(&to, &manifest)? {
        return Ok(there);
    }
    let part = to.with_file_name(format!(".part-{}", manifest.digest.hex()));
    let _lock = Lock::wait(&part.with_extension("lock")).map_err(BundleError::Lock)?;
    // Whoever was waited for has fetched it.
    if let Some(there) = same(&to, &manifest)? {
        return Ok(there);
    }
    fetch(client, url, (&part, manifest.file_size), on_bytes)?;
    let found = digest::of_file(&part, &mut |_| !kiln_host::signal::interrupted());
    let found = found.map_err(|source| BundleError::io("read", &part, source))?;
    if found != manifest.digest {
        // Going on with it would never end otherwise.
        fs::remove_file(&part).map_err(|source| BundleError::io("remove", &part, source))?;
        let path = url.to_string().into();
        return Err(BundleError::Digest { path, expected: manifest.digest, found });
    }
    let kept = BundleManifest { name: name.to_string(), ..manifest };
    sign::forget(&to)?;
    write_manifest(&manifest_path(&to), &kept)?;
    fs::rename(&part, &to).map_err(|source| BundleError::io("write", &to, source))?;
    BundleFile::open(&to)
}

/// Returns the bundle at `to` if it is the one of the manifest; an error if it is another.
fn same(to: &Path, manifest: &BundleManifest) -> Result<Option<BundleFile>, BundleError> {
    if to.symlink_metadata().is_err() {
        return Ok(None);
    }
    let there = BundleFile::open(to)?;
    match &there.manifest {
        Some(own) if own.digest == manifest.digest => Ok(Some(there)),
        _ => Err(BundleError::Exists { path: to.to_owned() }),
    }
}

/// Fetches a file of `size` bytes into `part`, from where that ends.
fn fetch(
    client: &Client<'_>,
    url: &Address,
    (part, size): (&Path, Bytes),
    on_bytes: OnBytes<'_>,
) -> Result<(), BundleError> {
    let failed = |source| BundleError::io("write", part, source);
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.append(true).create(true), 0o600);
    let mut file = options.open(part).map_err(failed)?;
    let mut left = TRIES;
    loop {
        let have = file.metadata().map_err(failed)?.len();
        if have > size.0 {
            file.set_len(0).map_err(failed)?;
            continue;
        }
        if have == size.0 {
            return file.sync_all().map_err(failed);
        }
        let tried = some(client, url, (&mut file, have, size), on_bytes);
        let more = file.metadata().map_err(failed)?.len();
        match tried {
            Ok(()) if more == size.0 => {}
            Err(BundleError::Http { source }) if !source.is_passing() => return Err(http(source)),
            Err(error @ (BundleError::Io { .. } | BundleError::Interrupted)) => return Err(error),
            // Broken off: what came counts, and nothing that came counts against it.
            other => {
                left = if more > have { TRIES } else { left - 1 };
                if left == 0 {
                    other?;
                    let source = HttpError::Io {
                        url: url.clone(),
                        source: io::ErrorKind::UnexpectedEof.into(),
                    };
                    return Err(http(source));
                }
            }
        }
    }
}

/// Asks once for what is missing, and writes what comes.
fn some(
    client: &Client<'_>,
    url: &Address,
    (file, have, size): (&mut File, u64, Bytes),
    on_bytes: OnBytes<'_>,
) -> Result<(), BundleError> {
    let range = (have > 0).then_some((have, size.0 - 1));
    let answer = client.get(url, range).map_err(http)?;
    let goes_on = answer.status == 206 && answer.range == Some((have, size.0 - 1, size.0));
    let mut have = have;
    let mut local = |source| BundleError::io("write", url.to_string(), source);
    if !goes_on && have > 0 {
        // The server knows no ranges, or has another file now: from the beginning.
        file.set_len(0).map_err(&mut local)?;
        have = 0;
        if answer.status == 206 {
            return Ok(());
        }
    }
    let mut body = answer.into_reader();
    let mut buffer = vec![0; BUFFER];
    loop {
        if kiln_host::signal::interrupted() {
            return Err(BundleError::Interrupted);
        }
        let got = match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(http(HttpError::Io { url: url.clone(), source })),
        };
        have += u64::try_from(got).expect("a read is shorter than 2^64 bytes");
        if have > size.0 {
            return Err(http(HttpError::TooLong { url: url.clone(), most: size.0 }));
        }
        file.write_all(&buffer[..got]).map_err(&mut local)?;
        on_bytes(Bytes(have), size);
    }
}

/// Puts a bundle onto a server, and returns its address there: `url`, or below it if it ends in
/// `/`. The manifest comes last: whoever sees it can fetch the archive, and the signature, if the
/// bundle has one.
///
/// # Errors
///
/// [`BundleError::Http`]; [`BundleError::NoPut`] if the server takes no files;
/// [`BundleError::NoManifest`]; [`BundleError::Digest`] if the file is not the manifest's.
pub fn push(
    client: &Client<'_>,
    bundle: &BundleFile,
    url: &Address,
) -> Result<Address, BundleError> {
    let Some(manifest) = &bundle.manifest else {
        return Err(BundleError::NoManifest { path: bundle.path.clone() });
    };
    bundle.verify(&mut |_| !kiln_host::signal::interrupted())?;
    let to = if url.secret().ends_with('/') {
        beside(url, &format!("{}{ENDING}", manifest.name))?
    } else {
        url.clone()
    };
    put(client, &bundle.path, &to)?;
    // Some servers answer well and keep a part.
    let last = manifest.file_size.0.saturating_sub(1);
    let seen = client.get(&to, Some((last, last))).map_err(http)?;
    let whole = seen.range.map(|(_, _, whole)| whole).or(seen.length);
    if whole != Some(manifest.file_size.0) {
        let what = "it does not have the whole file that it took".to_owned();
        return Err(http(HttpError::Nonsense { url: to, what }));
    }
    let signature = signature_path(&bundle.path);
    if signature.symlink_metadata().is_ok() {
        put(client, &signature, &beside(&to, &format!("{MANIFEST_ENDING}{SIGNATURE_ENDING}"))?)?;
    }
    put(client, &manifest_path(&bundle.path), &beside(&to, MANIFEST_ENDING)?)?;
    Ok(to)
}

fn put(client: &Client<'_>, from: &Path, to: &Address) -> Result<(), BundleError> {
    let file = File::open(from).map_err(|source| BundleError::io("read", from, source))?;
    client.put(to, file).map_err(|source| match source {
        HttpError::Status { status: 403 | 405 | 501, .. } => BundleError::NoPut { source },
        source => http(source),
    })
}
