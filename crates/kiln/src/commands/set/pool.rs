// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of Ceph's pools and their keys, read.

use std::path::Path;

use kiln_libvirt::domain::RbdHost;
use kiln_spec::set::{PoolSource, RbdKey, RbdSpec, SecretSpec, Set};

use super::file::beside;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::rbd_login::Login;
use crate::machine::secrets;
use crate::machine::set::WantedSecret;

/// Returns the monitors of a pool.
///
/// # Errors
///
/// A word that is none (class file).
pub(super) fn monitors(rbd: &RbdSpec) -> Result<Vec<RbdHost>, Problem> {
    let one = |word: &String| {
        let wrong = || Problem::new(Class::File, format!("`{word}` is no monitor of Ceph's"));
        word.parse::<RbdHost>().map_err(|error| wrong().because(error))
    };
    rbd.monitors.iter().map(one).collect()
}

/// Reads how the host is to log in; `folder` is that of the set's file.
///
/// # Errors
///
/// The keyring cannot be read, or has no such key (class file, or object if it is not there).
pub(super) fn login(ctx: &Context, rbd: &RbdSpec, folder: &Path) -> anyhow::Result<Login> {
    secrets::check_user(rbd.user.as_deref())?;
    match &rbd.key {
        RbdKey::Keyring(path) => {
            Login::from_keyring(&beside(ctx, folder, path)?, rbd.user.as_deref())
        }
        RbdKey::Secret(name) => Ok(Login::Secret(name.clone(), rbd.user.clone())),
    }
}

/// Reads the keys of the file's secrets; `folder` is that of the file.
///
/// # Errors
///
/// As [`login`].
pub(super) fn secrets(
    ctx: &Context,
    set: &Set,
    folder: &Path,
) -> anyhow::Result<Vec<WantedSecret>> {
    let one = |spec: &SecretSpec| {
        secrets::check_user(spec.user.as_deref())?;
        let path = beside(ctx, folder, &spec.keyring)?;
        let entry = secrets::from_keyring(&path, spec.user.as_deref())?;
        Ok(WantedSecret { name: spec.name.to_string(), entry })
    };
    set.secrets.iter().map(one).collect()
}

/// Checks all that the file says of Ceph's pools, before the host is asked.
///
/// # Errors
///
/// As [`monitors`] and [`login`].
pub(super) fn check(ctx: &Context, set: &Set, folder: &Path) -> anyhow::Result<()> {
    for pool in &set.pools {
        if let PoolSource::Rbd(rbd) = &pool.source {
            monitors(rbd)?;
            drop(login(ctx, rbd, folder)?);
        }
    }
    Ok(())
}
