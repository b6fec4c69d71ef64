// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file as it is written, with the places of its values.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Location, Spanned};

use super::machine::MachineFile;
use super::network::NetworkFile;
use super::{
    FORMAT, ImageSource, Images, NfsSource, PoolSource, PoolSpec, RbdKey, RbdSpec, SecretSpec, Set,
    SetName, VolumeGroupName, check, is_ceph_pool,
};
use crate::image::Sha256;
use crate::network::NetworkName;
use crate::place::after_scheme;
use crate::{MachineName, PoolName, schema};

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

/// A set of Kiln: networks, pools, images and machines that come and go together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Set of Kiln")]
pub(crate) struct SetFile {
    /// The number of this format.
    #[serde(rename = "kiln")]
    #[schemars(schema_with = "schema::format")]
    _format: Format,
    /// The set's name: what it makes belongs to it.
    name: SetName,
    /// Networks, by their names.
    #[serde(default)]
    #[schemars(with = "BTreeMap<NetworkName, super::network::Written>")]
    networks: BTreeMap<NetworkName, Spanned<NetworkFile>>,
    /// Pools, by their names.
    #[serde(default)]
    #[schemars(with = "BTreeMap<PoolName, PoolFile>")]
    pools: BTreeMap<PoolName, Spanned<PoolFile>>,
    /// Images, by the names that machines have for them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ImageFile>")]
    images: BTreeMap<String, Spanned<ImageFile>>,
    /// Machines, by their names.
    #[serde(default)]
    #[schemars(with = "BTreeMap<MachineName, MachineFile>")]
    machines: BTreeMap<MachineName, Spanned<MachineFile>>,
    /// Secrets of libvirt with keys of Ceph, by their names.
    #[serde(default)]
    secrets: BTreeMap<PoolName, SecretFile>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SecretFile {
    /// The file that the key is in, from this file's folder.
    keyring: String,
    /// Whose key of the file it is, without `client.`.
    user: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PoolFile {
    /// A folder of the host.
    #[schemars(with = "Option<String>")]
    dir: Option<Spanned<String>>,
    /// A pool of a Ceph cluster.
    #[schemars(with = "Option<RbdFile>")]
    rbd: Option<Spanned<RbdFile>>,
    /// A folder of an NFS server: `HOST:FOLDER`.
    #[schemars(with = "Option<String>")]
    nfs: Option<Spanned<String>>,
    /// Where the host mounts the folder of the server.
    #[schemars(with = "Option<String>")]
    mount: Option<Spanned<String>>,
    /// A volume group of LVM.
    lvm: Option<VolumeGroupName>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RbdFile {
    /// Ceph's name of the pool.
    #[schemars(with = "String")]
    pool: Spanned<String>,
    /// The monitors, all of them: `HOST` or `HOST:PORT`.
    #[schemars(with = "Vec<String>")]
    monitors: Vec<Spanned<String>>,
    /// The user, without `client.`.
    user: Option<String>,
    /// The file with the user's key, from this file's folder; or `secret`.
    keyring: Option<String>,
    /// The secret with the user's key; or `keyring`.
    secret: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImageFile {
    /// A file, from this file's folder.
    #[schemars(with = "Option<String>")]
    file: Option<Spanned<String>>,
    /// A name in the store.
    #[schemars(with = "Option<String>")]
    store: Option<Spanned<String>>,
    /// A recipe that is built, from this file's folder.
    #[schemars(with = "Option<String>")]
    build: Option<Spanned<String>>,
    /// A name in the catalogs, like `debian-12`.
    #[schemars(with = "Option<String>")]
    catalog: Option<Spanned<String>>,
    /// An address, and the `sha256` of what it leads to.
    #[schemars(with = "Option<String>")]
    url: Option<Spanned<String>>,
    /// What is fetched must have this digest.
    #[schemars(with = "Option<Sha256>")]
    sha256: Option<Spanned<Sha256>>,
    /// A bundle: its name, a file, or an address and its `sha256`.
    #[schemars(with = "Option<String>")]
    bundle: Option<Spanned<String>>,
    #[schemars(skip)]
    install: NotYet,
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
        let wrong = |message: &str| Err((at, message.to_owned()));
        if self.lvm.is_some() {
            let others = [&self.dir, &self.nfs, &self.mount];
            return match self.rbd.is_none() && others.iter().all(|other| other.is_none()) {
                true => Ok(()),
                false => wrong("a pool has one of `dir`, `lvm`, `nfs` and `rbd`"),
            };
        }
        match (&self.dir, &self.nfs, &self.mount, &self.rbd) {
            (Some(dir), None, None, None) => is_folder(dir),
            (None, Some(nfs), Some(mount), None) => {
                let read = nfs.value.parse::<NfsSource>();
                read.map_err(|error| (nfs.referenced, error.to_string()))?;
                is_folder(mount)
            }
            (None, None, None, Some(rbd)) => rbd.value.check(rbd.referenced),
            (None, None, None, None) => wrong("a pool needs the key `dir`, `lvm`, `nfs` or `rbd`"),
            (None, Some(_), None, None) => wrong("say where the host mounts it: `mount: FOLDER`"),
            (_, None, Some(mount), _) => {
                Err((mount.referenced, "only `nfs` goes with `mount`".into()))
            }
            _ => wrong("a pool has one of `dir`, `lvm`, `nfs` and `rbd`"),
        }
    }

    /// Returns what it lies on; it has been checked.
    fn source(self) -> PoolSource {
        let folder = |folder: Option<Spanned<String>>| folder.map(|folder| folder.value);
        if let Some(group) = self.lvm {
            return PoolSource::Lvm(group.to_string());
        }
        let nfs = self.nfs.and_then(|nfs| nfs.value.parse().ok());
        match (self.rbd, nfs) {
            (Some(rbd), _) => PoolSource::Rbd(rbd.value.spec()),
            (None, Some(from)) => {
                PoolSource::Nfs { from, mount: folder(self.mount).unwrap_or_default() }
            }
            (None, None) => PoolSource::Dir(folder(self.dir).unwrap_or_default()),
        }
    }
}

/// Checks a folder of the host.
fn is_folder(folder: &Spanned<String>) -> Result<(), Finding> {
    let text = &folder.value;
    let plain = !text.chars().any(char::is_control);
    let mut parts = text.split('/').skip(1);
    if plain && text.starts_with('/') && parts.all(|part| !matches!(part, "." | "..")) {
        return Ok(());
    }
    let why = "the host may be another one, and takes a whole path without `..`";
    let message = format!("`{}` is no folder for a pool: {why}", text.escape_debug());
    Err((folder.referenced, message))
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
        let instead = "make the image first, and name it by `store` or `file`";
        not_yet(&[("install", &self.install)], instead)?;
        let ways = [&self.build, &self.bundle, &self.catalog, &self.file, &self.store, &self.url];
        let mut named = ways.into_iter().flatten();
        let (Some(way), None) = (named.next(), named.next()) else {
            let has = if ways.iter().any(|way| way.is_some()) { "has two" } else { "needs one" };
            let all = "`build`, `bundle`, `catalog`, `file`, `store` and `url`";
            return Err((at, format!("the image `{name}` {has} of {all}")));
        };
        if way.value.is_empty() {
            return Err((way.referenced, "it is empty".into()));
        }
        let of_server = |bundle: &&Spanned<String>| after_scheme(&bundle.value).is_some();
        let address = self.url.as_ref().or(self.bundle.as_ref().filter(of_server));
        match (address, &self.sha256) {
            (None, Some(sha256)) => {
                return Err((sha256.referenced, "only addresses go with `sha256`".into()));
            }
            (Some(address), None) => {
                return Err((address.referenced, "say what it must be: `sha256: DIGITS`".into()));
            }
            (Some(address), Some(_)) => check::web_address(address)?,
            (None, None) => {}
        }
        self.catalog.as_ref().map_or(Ok(()), check::catalog_name)?;
        self.store.as_ref().map_or(Ok(()), check::image_name)
    }

    fn source(self) -> ImageSource {
        let plain = |word: Option<Spanned<String>>| word.map(|word| word.value);
        let sha256 = self.sha256.map(|sha256| sha256.value.0);
        if let Some(place) = plain(self.bundle) {
            return ImageSource::Bundle { place, sha256 };
        }
        match (plain(self.build), plain(self.catalog), plain(self.file), self.url.zip(sha256)) {
            (Some(recipe), ..) => ImageSource::Build(recipe),
            (_, Some(name), ..) => ImageSource::Catalog(name),
            (_, _, Some(file), _) => ImageSource::File(file),
            (.., Some((url, sha256))) => ImageSource::Url { url: url.value, sha256 },
            _ => ImageSource::Known(plain(self.store).unwrap_or_default()),
        }
    }
}
