// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a pool that is to be made logs in to Ceph.

use std::path::Path;

use kiln_libvirt::Connection;
use kiln_libvirt::domain::{RbdAuth, RbdHost, RbdSecret};
use kiln_libvirt::keyring::Entry;
use kiln_libvirt::storage::{PoolKind, RbdPool};
use uuid::Uuid;

use super::pools::{self, NewKey};
use super::secrets;
use crate::error::{Class, Problem};

/// How the host is to log in to Ceph.
pub(crate) enum Login {
    /// By the key that a secret has, as this user if the secret does not say whose it is.
    Secret(String, Option<String>),
    /// By a key that a secret is made of.
    Key(Entry),
}

impl Login {
    /// Reads the key of a keyring.
    ///
    /// # Errors
    ///
    /// As [`secrets::from_keyring`].
    pub(crate) fn from_keyring(path: &Path, user: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self::Key(secrets::from_keyring(path, user)?))
    }

    /// Finds the secret, or says what is to be made, for the pool `name`, which is `pool` of a
    /// cluster with these monitors.
    ///
    /// # Errors
    ///
    /// There is no such secret, or one of the name that it would get; another pool of the host is
    /// that one (class object); what libvirt says.
    pub(crate) fn found(
        self,
        conn: &Connection,
        name: &str,
        (pool, hosts): (String, Vec<RbdHost>),
    ) -> anyhow::Result<(PoolKind, Option<NewKey>)> {
        let (user, uuid, key) = match self {
            Self::Secret(name, user) => {
                let secret = secrets::find(conn, &name)?;
                if secret.kind != "ceph" {
                    let what = format!("the secret `{name}` is of the kind `{}`", secret.kind);
                    return Err(Problem::new(Class::Object, what).hint("Ceph's is `ceph`").into());
                }
                let user = user.or(secret.user).ok_or_else(|| {
                    let what = format!("the secret `{name}` does not say whose key it has");
                    Problem::new(Class::Usage, what).hint("name the Ceph user: `--user`, or `user`")
                })?;
                (user, secret.uuid, None)
            }
            Self::Key(Entry { user, key }) => {
                let (uuid, name) = (Uuid::now_v7(), pools::own_secret(name));
                secrets::refuse_taken(conn, &name)?;
                (user.clone(), uuid, Some(NewKey { uuid, name, user, key }))
            }
        };
        let auth = Some(RbdAuth { user, secret: RbdSecret::Uuid(uuid) });
        let rbd = RbdPool { pool, hosts, auth };
        pools::rbd_is_free(conn, &rbd)?;
        Ok((PoolKind::Rbd(rbd), key))
    }
}
