// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file as it is written, with the places of its values.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};

use super::machine::MachineFile;
use super::network::NetworkFile;
use super::{
    FORMAT, ImageSource, Images, PoolSource, PoolSpec, RbdKey, RbdSpec, SecretSpec, Set, SetName,
    check, is_ceph_pool,
};
use crate::image::Sha256;
use crate::network::NetworkName;
use crate::{MachineName, PoolName};

/// What is wrong, and where.
pub(super) type Finding = (Location, String);

/// A key whose value is not looked at: this Kiln cannot do it yet.
pub(super) type NotYet = Option<Spanned<IgnoredAny>>;

/// The format's number, which is only ever [`FORMAT`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Format;

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == FORMAT {
            Ok(Self)
        } else {
            Err(format!("this kiln reads format {FORMAT}, and the file says {number}"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetFile {
    #[serde(rename = "kiln")]
    _format: Format,
    name: SetName,
    #[serde(default)]
    networks: BTreeMap<NetworkName, Spanned<NetworkFile>>,
    #[serde(default)]
    pools: BTreeMap<PoolName, Spanned<PoolFile>>,
    #[serde(default)]
    images: BTreeMap<String, Spanned<ImageFile>>,
    #[serde(default)]
    machines: BTreeMap<MachineName, Spanned<MachineFile>>,
    #[serde(default)]
    secrets: BTreeMap<PoolName, SecretFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    keyring: String,
    user: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolFile {
    dir: Option<Spanned<String>>,
    rbd: Option<Spanned<RbdFile>>,
    nfs: NotYet,
    lvm: NotYet,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RbdFile {
    pool: Spanned<String>,
    monitors: Vec<Spanned<String>>,
    user: Option<String>,
    keyring: Option<String>,
    secret: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFile {
    file: Option<Spanned<String>>,
    store: Option<Spanned<String>>,
    build: Option<Spanned<String>>,
    catalog: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    sha256: Option<Spanned<Sha256>>,
    install: NotYet,
    bundle: NotYet,
}

/// Refuses keys that this Kiln cannot do yet; `instead` is what it can.
pub(super) fn not_yet(keys: &[(&str, &NotYet)], instead: &str) -> Result<(), Finding> {
    match keys.iter().find_map(|(key, value)| value.as_ref().map(|value| (key, value))) {
        Some((key, value)) => {
            Err((value.referenced, format!("this kiln cannot do `{key}` in a set yet; {instead}")))
        }
        None => Ok(()),
    }
}

impl SetFile {
    /// Checks what one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), Finding> {
        self.pools.values().try_for_each(|pool| pool.value.check(pool.referenced))?;
        for (name, image) in &self.images {
            image.value.check(name, image.referenced)?;
        }
        self.machines.values().try_for_each(|machine| machine.value.check())
    }

    pub(super) fn into_set(self) -> Result<Set, Finding> {
        let images: Images =
            self.images.into_iter().map(|(name, i)| (name, i.value.source())).collect();
        let mut networks = Vec::new();
        for (name, network) in self.networks {
            let at = network.referenced;
            let spec = network.value.into_spec(name);
            spec.check().map_err(|error| (at, error.to_string()))?;
            networks.push((at, spec));
        }
        let secret = |(name, SecretFile { keyring, user })| SecretSpec { name, keyring, user };
        let secrets = self.secrets.into_iter().map(secret).collect();
        let mut pools = Vec::new();
        for (name, pool) in self.pools {
            pools.push((pool.referenced, PoolSpec { name, source: pool.value.source() }));
        }
        let mut machines = Vec::new();
        for (name, machine) in self.machines {
            let at = machine.referenced;
            machines.push((at, machine.value.into_spec(name, at, &images)?));
        }
        check::networks(&networks)?;
        check::pools(&pools)?;
        check::machines(&machines, &networks)?;
        fn bare<T>(all: Vec<(Location, T)>) -> Vec<T> {
            all.into_iter().map(|(_, one)| one).collect()
        }
        let (networks, pools) = (bare(networks), bare(pools));
        Ok(Set { name: self.name, networks, secrets, pools, machines: bare(machines) })
    }
}

impl PoolFile {
    fn check(&self, at: Location) -> Result<(), Finding> {
        let later = [("nfs", &self.nfs), ("lvm", &self.lvm)];
        not_yet(&later, "a pool is a folder, `dir`, or of Ceph, `rbd`")?;
        let dir = match (&self.dir, &self.rbd) {
            (Some(dir), None) => dir,
            (None, Some(rbd)) => return rbd.value.check(rbd.referenced),
            (Some(_), Some(_)) => return Err((at, "a pool has either `dir` or `rbd`".into())),
            (None, None) => return Err((at, "a pool needs the key `dir` or `rbd`".into())),
        };
        let plain = !dir.value.chars().any(char::is_control);
        let parts = || dir.value.split('/').skip(1);
        if plain && dir.value.starts_with('/') && parts().all(|part| !matches!(part, "." | "..")) {
            return Ok(());
        }
        let why = "the host may be another one, and takes a whole path without `..`";
        Err((
            dir.referenced,
            format!("`{}` is no folder for a pool: {why}", dir.value.escape_debug()),
        ))
    }
}

impl PoolFile {
    /// Returns what it lies on; it has been checked.
    fn source(self) -> PoolSource {
        match (self.dir, self.rbd) {
            (_, Some(rbd)) => PoolSource::Rbd(rbd.value.spec()),
            (dir, None) => PoolSource::Dir(dir.map(|dir| dir.value).unwrap_or_default()),
        }
    }
}

impl RbdFile {
    fn check(&self, at: Location) -> Result<(), Finding> {
        let name = &self.pool.value;
        if !is_ceph_pool(name) {
            let message = format!("`{}` is no name of a Ceph pool", name.escape_debug());
            return Err((self.pool.referenced, message));
        }
        if self.monitors.is_empty() {
            return Err((at, "name the cluster's `monitors`, all of them".into()));
        }
        match (&self.keyring, &self.secret) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) => Err((at, "a key is in a `keyring` or in a `secret`".into())),
            (None, None) => Err((at, "say where the key is: `keyring` or `secret`".into())),
        }
    }

    fn spec(self) -> RbdSpec {
        RbdSpec {
            pool: self.pool.value,
            monitors: self.monitors.into_iter().map(|monitor| monitor.value).collect(),
            user: self.user,
            key: match (self.keyring, self.secret) {
                (Some(keyring), _) => RbdKey::Keyring(keyring),
                (None, secret) => RbdKey::Secret(secret.unwrap_or_default()),
            },
        }
    }
}

impl ImageFile {
    fn check(&self, name: &str, at: Location) -> Result<(), Finding> {
        let later = [("install", &self.install), ("bundle", &self.bundle)];
        let instead =
            "make the image first (`kiln bundle assemble`), and name it by `store` or `file`";
        not_yet(&later, instead)?;
        let ways = [&self.build, &self.catalog, &self.file, &self.store, &self.url];
        let mut named = ways.into_iter().flatten();
        let (Some(way), None) = (named.next(), named.next()) else {
            let has = if ways.iter().any(|way| way.is_some()) { "has two" } else { "needs one" };
            let all = "`build`, `catalog`, `file`, `store` and `url`";
            return Err((at, format!("the image `{name}` {has} of {all}")));
        };
        if way.value.is_empty() {
            return Err((way.referenced, "it is empty".into()));
        }
        match (&self.store, &self.catalog, &self.url, &self.sha256) {
            (_, _, None, Some(sha256)) => {
                Err((sha256.referenced, "only `url` goes with `sha256`".into()))
            }
            (_, _, Some(url), None) => {
                Err((url.referenced, "say what it must be: `sha256: DIGITS`".into()))
            }
            (_, _, Some(url), _) => check::web_address(url),
            (_, Some(catalog), ..) => check::catalog_name(catalog),
            (Some(store), ..) => check::image_name(store),
            _ => Ok(()),
        }
    }

    fn source(self) -> ImageSource {
        let plain = |word: Option<Spanned<String>>| word.map(|word| word.value);
        match (plain(self.build), plain(self.catalog), plain(self.file), self.url.zip(self.sha256))
        {
            (Some(recipe), ..) => ImageSource::Build(recipe),
            (_, Some(name), ..) => ImageSource::Catalog(name),
            (_, _, Some(file), _) => ImageSource::File(file),
            (.., Some((url, sha256))) => {
                ImageSource::Url { url: url.value, sha256: sha256.value.0 }
            }
            _ => ImageSource::Known(plain(self.store).unwrap_or_default()),
        }
    }
}
