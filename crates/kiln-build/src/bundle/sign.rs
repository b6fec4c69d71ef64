// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who made a bundle: a detached OpenPGP signature of its manifest, `NAME.tar.zst.json.asc`.
//!
//! The manifest has the archive's digest, so that its signature is one of the archive, too, and is
//! checked before anything of that is fetched. What counts as good is what counts for catalogs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_host::beside::replace;
use kiln_host::read;
use kiln_spec::bundle::MANIFEST_ENDING;

use super::file::{MOST_MANIFEST, manifest_path};
use super::{BundleError, BundleFile};
use crate::catalog::http::{Client, HttpError};
use crate::catalog::openpgp::{OpenPgp, SignatureError, Signers};
use crate::catalog::url::Address;

/// What stands after a manifest's name.
pub(super) const SIGNATURE_ENDING: &str = ".asc";
/// The most bytes of a signature: one of RSA has less than a KiB.
const MOST_SIGNATURE: u64 = 64 << 10;

/// Whose signature a bundle must have, and what checks it.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// What checks it.
    pub openpgp: OpenPgp<'a>,
    /// Whose signature counts.
    pub signers: &'a Signers,
}

/// Returns where the signature of the bundle `path` is.
pub(super) fn signature_path(path: &Path) -> PathBuf {
    let mut name = manifest_path(path).into_os_string();
    name.push(SIGNATURE_ENDING);
    name.into()
}

/// Removes the signature of a bundle that has another manifest now, or none.
pub(super) fn forget(path: &Path) -> Result<(), BundleError> {
    let place = signature_path(path);
    match fs::remove_file(&place) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BundleError::io("remove", place, source))
        }
        _ => Ok(()),
    }
}

/// Signs the manifest of `bundle` with a key of the user's, whose agent may ask for a passphrase.
///
/// # Effects
///
/// The signature is beside the manifest, in place of one that was there; returns its path.
///
/// # Errors
///
/// [`BundleError::NoManifest`], [`BundleError::Signature`] if GnuPG does not sign,
/// [`BundleError::Io`].
pub fn sign(bundle: &BundleFile, openpgp: &OpenPgp<'_>, key: &str) -> Result<PathBuf, BundleError> {
    if bundle.manifest.is_none() {
        return Err(BundleError::NoManifest { path: bundle.path.clone() });
    }
    let manifest = manifest_path(&bundle.path);
    let bytes = read::bounded(&manifest, MOST_MANIFEST);
    let bytes = bytes.map_err(|source| BundleError::io("read", &manifest, source))?;
    let signed = openpgp.sign_detached(&bytes, key);
    let signed = signed.map_err(|source| BundleError::Signature { source })?;
    let place = signature_path(&bundle.path);
    replace(&place, &signed).map_err(|source| BundleError::io("write", &place, source))?;
    Ok(place)
}

/// Checks the signature, on its server, of the manifest `bytes` of the bundle at `url`.
pub(super) fn check(
    client: &Client<'_>,
    url: &Address,
    bytes: &[u8],
    checked: Checked<'_>,
) -> Result<(), BundleError> {
    let what = format!("{url}{MANIFEST_ENDING}");
    let refused = |source| BundleError::Signature { source };
    let place = super::remote::beside(url, &format!("{MANIFEST_ENDING}{SIGNATURE_ENDING}"))?;
    let signature = match client.read(&place, MOST_SIGNATURE) {
        Ok(signature) => signature,
        Err(HttpError::Status { status: 404 | 410, .. }) => {
            return Err(refused(SignatureError::Unsigned { what }));
        }
        Err(source) => return Err(BundleError::Http { source }),
    };
    let verified = checked.openpgp.verify_detached(bytes, &signature, checked.signers, &what);
    verified.map(drop).map_err(refused)
}
