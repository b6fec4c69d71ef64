// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set: the networks, pools, images and machines of one file, which its name owns.
//!
//! | module | what |
//! |---|---|
//! | `file` | the file as it is written, with the places of its values |
//! | `machine` | what it says of machines |
//! | `network` | what it says of networks |
//! | `check` | what several entries say against each other |
//!
//! **Invariant:** what this Kiln cannot do yet is an error that names it, never left out.

mod check;
mod file;
mod machine;
mod network;

use std::collections::BTreeMap;
use std::fmt;

use crate::forward::ForwardSpec;
use crate::image::Digest;
use crate::interface::InterfaceSpec;
use crate::network::NetworkSpec;
use crate::ready::ReadyCheck;
use crate::recipe::UserName;
use crate::word::{is_word, word};
use crate::yaml::{self, YamlError};
use crate::{Bytes, Datasource, DnsServerName, MachineName, PoolName, Tag};

/// The format that this Kiln reads.
pub const FORMAT: u32 = 1;
/// The most machines of one entry.
pub const MOST: u32 = 500;
/// The pool of machines that name none.
const POOL: &str = "default";

word!(
    /// The name of a set: all that it made is known by it.
    SetName,
    "name of a set",
    "it begins with a letter or digit, and has letters, digits, `-` and `_`, at most 63",
    |name| is_word(name, 63, "-_")
);

/// All that one file wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name, which owns all that is made of it.
    pub name: SetName,
    /// Its networks, by name.
    pub networks: Vec<NetworkSpec>,
    /// Its secrets, by name.
    pub secrets: Vec<SecretSpec>,
    /// Its pools, by name.
    pub pools: Vec<PoolSpec>,
    /// Its machines, by name.
    pub machines: Vec<MachineSpec>,
}

/// A secret to be: the key of a Ceph user, which the host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// Its name.
    pub name: PoolName,
    /// The keyring that has the key, by its path from the set's file.
    pub keyring: String,
    /// Whose key it is, if the keyring has several.
    pub user: Option<String>,
}

/// A pool to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name.
    pub name: PoolName,
    /// What it lies on.
    pub source: PoolSource,
}

/// What a pool lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolSource {
    /// A folder of the host; an absolute path.
    Dir(String),
    /// A pool of a Ceph cluster.
    Rbd(RbdSpec),
}

/// Returns whether a word can be the name of a Ceph pool: letters, digits, `.`, `_` and `-`, which is
/// not the first.
#[must_use]
pub fn is_ceph_pool(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(fine)
}

/// A pool of a Ceph cluster, as a file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbdSpec {
    /// Ceph's name of it.
    pub pool: String,
    /// The monitors: `HOST` or `HOST:PORT` each; at least one.
    pub monitors: Vec<String>,
    /// The Ceph user, if it is not the one whose key is named.
    pub user: Option<String>,
    /// Where its key is.
    pub key: RbdKey,
}

/// Where the key of a Ceph user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RbdKey {
    /// In a keyring, by its path from the set's file.
    Keyring(String),
    /// In a secret of the host, by its name or UUID.
    Secret(String),
}

impl PoolSource {
    /// Returns the name or UUID of the host's secret that opens it, if it names one.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Rbd(RbdSpec { key: RbdKey::Secret(name), .. }) => Some(name),
            Self::Rbd(_) | Self::Dir(_) => None,
        }
    }
}

impl fmt::Display for PoolSource {
    /// Writes it for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(folder) => f.write_str(folder),
            Self::Rbd(rbd) => write!(f, "Ceph's {} at {}", rbd.pool, rbd.monitors.join(", ")),
        }
    }
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageSource {
    /// A file, by its path from the set's file.
    File(String),
    /// In the store, by its name or the beginning of its digest; or a template of the machine's
    /// pool.
    Known(String),
    /// What a recipe makes, by the recipe's path from the set's file.
    Build(String),
    /// Of a catalog: `NAME` or `CATALOG/NAME`.
    Catalog(String),
    /// A file on a web server.
    Url {
        /// Its address.
        url: String,
        /// What it must be.
        sha256: Digest,
    },
}

/// A machine, or several that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    /// Its name, or what the names of several begin with.
    pub name: MachineName,
    /// How many, if they are counted: `web-1`, `web-2`, …
    pub count: Option<u32>,
    /// Its image.
    pub image: ImageSource,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// The size of its disk, if it is not the image's.
    pub disk: Option<Bytes>,
    /// The pool of its volumes.
    pub pool: PoolName,
    /// Its interfaces, the first machine's; the host's usual one if there are none.
    pub networks: Vec<InterfaceSpec>,
    /// The ports of the host that lead to it, the first machine's.
    pub forwards: Vec<ForwardSpec>,
    /// Who logs in, if it is not the image's own user.
    pub user: Option<UserName>,
    /// The files of the public keys that may log in, as they are written.
    pub ssh_keys: Vec<String>,
    /// The file of its user-data, by its path from the set's file.
    pub user_data: Option<String>,
    /// The DNS server that is to have its name, by what the user calls it.
    pub dns: Option<DnsServerName>,
    /// The file of its vendor-data, by its path from the set's file.
    pub vendor_data: Option<String>,
    /// The file of its guest's network configuration, by its path from the set's file.
    pub network_config: Option<String>,
    /// Who reads them in the guest.
    pub datasource: Datasource,
    /// The words by which it is put together with others.
    pub tags: Vec<Tag>,
    /// Whether nothing lies below its disk.
    pub full: bool,
    /// Whether it starts by UEFI.
    pub uefi: bool,
    /// What is to be proven of it before it is ready, besides the usual.
    pub ready: Vec<ReadyCheck>,
}

impl MachineSpec {
    /// Returns how many machines there are to be.
    #[must_use]
    pub fn machines(&self) -> u32 {
        self.count.unwrap_or(1)
    }

    /// Returns the name of the machine of this number, from 1.
    ///
    /// # Panics
    ///
    /// Never: names that become too long are refused when the file is read.
    #[must_use]
    pub fn nth(&self, number: u32) -> MachineName {
        match self.count {
            None => self.name.clone(),
            Some(_) => self.name.counted(number).expect("the reader has made it"),
        }
    }
}

impl Set {
    /// Reads a file's text; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`YamlError`] with the place: for what is no YAML, an unknown key, a value that may not
    /// stand there, entries that contradict each other, and what this Kiln cannot do yet.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        let read: file::SetFile = yaml::from_str(text, file)?;
        let wrong = |(at, message)| yaml::error_at(text, file, at, message);
        read.check().map_err(wrong)?;
        read.into_set().map_err(wrong)
    }
}

/// Images by the names that the file gives them.
type Images = BTreeMap<String, ImageSource>;

#[cfg(test)]
mod tests;
