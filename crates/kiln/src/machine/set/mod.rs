// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set: what one file wants, compared with what the host has, and what makes the two alike.
//!
//! | module | what |
//! |---|---|
//! | `found` | what the host has, asked and not changed |
//! | `action` | one thing to do, as a value, in words and as JSON |
//! | `compare` | the difference, as actions: pure |
//! | `alter` | changes of a machine that is there |
//! | `remove` | what a set owns is taken away |
//!
//! Who owns what stands in libvirt's own definitions: of a machine and of a network in the
//! metadata, of a pool and of a secret, which have none, in the UUID.
//!
//! **Invariant:** what another set or nobody owns is used, and never changed or removed.

mod action;
mod alter;
mod compare;
mod found;
mod remove;

use kiln_libvirt::keyring;
use kiln_spec::Bytes;
use kiln_spec::image::Digest;
use kiln_spec::network::NetworkSpec;
use kiln_spec::set::{MachineSpec, PoolSpec};
use uuid::Uuid;

use super::meta::{Owner, VolumeRef};

pub(crate) use action::{Action, Allowed, Object, What, json_of, settled};
pub(crate) use alter::alter;
pub(crate) use compare::{all_of, compare};
pub(crate) use found::ask;
pub(crate) use remove::{remove_network, remove_pool, remove_secret};

/// What the UUIDs of pools of sets are made in: of Kiln's own making, and never another.
const POOLS: Uuid = Uuid::from_u128(0x6b69_6c6e_0000_5000_8000_706f_6f6c_7365);

/// All that a file wants, with what its words lead to on this client.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The set's name.
    pub(crate) name: String,
    /// Its networks.
    pub(crate) networks: Vec<NetworkSpec>,
    /// Its secrets.
    pub(crate) secrets: Vec<WantedSecret>,
    /// Its pools.
    pub(crate) pools: Vec<PoolSpec>,
    /// Its machines.
    pub(crate) entries: Vec<Entry>,
}

/// A secret of the file, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedSecret {
    /// Its name.
    pub(crate) name: String,
    /// The Ceph user and the key.
    pub(crate) entry: keyring::Entry,
}

/// A machine of the file, or several that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What the file says.
    pub(crate) spec: MachineSpec,
    /// The image that it leads to.
    pub(crate) image: ImageFacts,
    /// What its machines are known by.
    pub(crate) owner: Owner,
}

/// What is to be known of an image to tell whether a machine was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageFacts {
    /// Its name, for people.
    pub(crate) name: String,
    /// Its digest; empty of a template.
    pub(crate) digest: String,
    /// The template, if that was named.
    pub(crate) template: Option<VolumeRef>,
    /// The size that a guest sees.
    pub(crate) size: Bytes,
    /// The least memory of its machines.
    pub(crate) least_memory: Bytes,
    /// How it comes into the store, if it is not there. Nothing else but the name is known then: sizes
    /// are 0, and the digest is empty.
    pub(crate) missing: Option<Getting>,
}

/// How an image comes into the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Getting {
    /// Built of the recipe at this path.
    Build(String),
    /// Pulled from a catalog: `NAME` or `CATALOG/NAME`.
    Pull(String),
    /// Made of the bundle at this path; or address, and then it must be this.
    Assemble(String, Option<Digest>),
    /// Fetched from a web server, and it must be this.
    Fetch(String, Digest),
}

/// What stands for a secret where a pool's folder stands.
const SECRET: &str = "secret";
/// How many bytes of a UUID of a set's pool tell whose it is; the others are of the one making.
const TELLING: usize = 6;

/// Returns a new UUID (version 8) for a set's pool: libvirt keeps nothing else of a pool that could
/// tell whose it is. `made` says that its folder was not there before.
pub(crate) fn new_pool_uuid(set: &str, pool: &str, made: bool) -> Uuid {
    new_uuid(telling([set, pool, folder_was(made)]))
}

/// Returns a new UUID for a set's secret, as [`new_pool_uuid`] for a pool.
pub(crate) fn new_secret_uuid(set: &str, secret: &str) -> Uuid {
    new_uuid(telling([set, secret, SECRET]))
}

fn new_uuid(telling: [u8; TELLING]) -> Uuid {
    let mut bytes = *Uuid::new_v4().as_bytes();
    bytes[..TELLING].copy_from_slice(&telling);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Returns whether a pool's UUID is one that this set gave it, and if so, whether its folder was
/// made with it.
pub(crate) fn owned_pool(uuid: Uuid, set: &str, pool: &str) -> Option<bool> {
    [true, false].into_iter().find(|made| tells(uuid, [set, pool, folder_was(*made)]))
}

/// Returns whether a secret's UUID is one that this set gave it.
pub(crate) fn owned_secret(uuid: Uuid, set: &str, secret: &str) -> bool {
    tells(uuid, [set, secret, SECRET])
}

const fn folder_was(made: bool) -> &'static str {
    if made { "made" } else { "there" }
}

fn tells(uuid: Uuid, of: [&str; 3]) -> bool {
    uuid.get_version_num() == 8 && uuid.as_bytes()[..TELLING] == telling(of)
}

fn telling(of: [&str; 3]) -> [u8; TELLING] {
    let hash = Uuid::new_v5(&POOLS, of.join("/").as_bytes());
    let mut bytes = [0; TELLING];
    bytes.copy_from_slice(&hash.as_bytes()[..TELLING]);
    bytes
}

#[cfg(test)]
mod tests;
