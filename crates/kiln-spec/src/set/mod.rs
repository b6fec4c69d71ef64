// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set: the networks, pools, images and machines of one file, which its name owns.
//!
//! | module | what |
//! |---|---|
//! | `file` | the file as it is written, with the places of its values |
//! | `machine` | what it says of machines |
//! | `first_boot` | what it says of their first boot: accounts, packages, files, commands |
//! | `network` | what it says of networks |
//! | `check` | what several entries say against each other |
//!
//! **Invariant:** what this Kiln cannot do yet is an error that names it, never left out.

mod check;
mod file;
mod first_boot;
mod machine;
mod network;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::forward::ForwardSpec;
use crate::image::Digest;
use crate::interface::InterfaceSpec;
use crate::network::NetworkSpec;
use crate::ready::ReadyCheck;
use crate::recipe::{FileEntry, PackageName};
use crate::word::{is_word, word};
use crate::yaml::{self, YamlError};
use crate::{Bytes, Datasource, DnsServerName, MachineName, PoolName, SeedUrl, Tag};

pub(crate) use file::SetFile;
pub use first_boot::{FirstCommand, UserSpec};

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
    /// A folder of an NFS server, which the host mounts.
    Nfs {
        /// The server and its folder.
        from: NfsSource,
        /// Where it is mounted; an absolute path.
        mount: String,
    },
    /// A volume group of LVM.
    Lvm(String),
    /// A pool of a Ceph cluster.
    Rbd(RbdSpec),
}

word! {
    /// The name of a volume group of LVM that is there.
    ///
    /// Source: lvm(8), "Valid names".
    VolumeGroupName, "volume group",
    "it is at most 127 letters, digits, `+`, `_`, `.` and `-`, neither `.` nor `-` first",
    |word| {
        word.len() <= 127
            && word.starts_with(|c: char| c.is_ascii_alphanumeric() || "+_".contains(c))
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "+_.-".contains(c))
    }
}

/// A folder of an NFS server: `HOST:FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NfsSource {
    /// The server.
    pub host: String,
    /// Its folder; an absolute path.
    pub export: String,
}

/// Why a word names no folder of an NFS server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not HOST:FOLDER")]
pub struct NfsError {
    text: String,
}

impl FromStr for NfsSource {
    type Err = NfsError;

    fn from_str(text: &str) -> Result<Self, NfsError> {
        let parts = text.split_once(':').filter(|(host, folder)| {
            let plain = !text.chars().any(char::is_control);
            plain && !host.is_empty() && !host.starts_with('-') && folder.starts_with('/')
        });
        let (host, export) = parts.ok_or_else(|| NfsError { text: text.to_owned() })?;
        Ok(Self { host: host.to_owned(), export: export.to_owned() })
    }
}

impl fmt::Display for NfsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.export)
    }
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
    /// Returns the folder of the host that its volumes are seen in, if they are files.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Dir(folder) | Self::Nfs { mount: folder, .. } => Some(folder),
            Self::Lvm(_) | Self::Rbd(_) => None,
        }
    }

    /// Returns the name or UUID of the host's secret that opens it, if it names one.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Rbd(RbdSpec { key: RbdKey::Secret(name), .. }) => Some(name),
            Self::Rbd(_) | Self::Lvm(_) | Self::Nfs { .. } | Self::Dir(_) => None,
        }
    }
}

impl fmt::Display for PoolSource {
    /// Writes it for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(folder) => f.write_str(folder),
            Self::Lvm(group) => write!(f, "the volume group {group}"),
            Self::Nfs { from, mount } => write!(f, "{from} at {mount}"),
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
    /// A bundle, of which a disk is made.
    Bundle {
        /// Its path from the set's file, or its address.
        place: String,
        /// What it must be; of every one with an address.
        sha256: Option<Digest>,
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
    /// Its accounts; the first is logged in to, and without it the image's own user.
    pub users: Vec<UserSpec>,
    /// The packages that its first boot installs.
    pub packages: Vec<PackageName>,
    /// The files that its first boot writes; of this client's by their paths from the set's file.
    pub files: Vec<FileEntry>,
    /// What its first boot runs at its end.
    pub commands: Vec<FirstCommand>,
    /// The file of its user-data, by its path from the set's file.
    pub user_data: Option<String>,
    /// The DNS server that is to have its name, by what the user calls it.
    pub dns: Option<DnsServerName>,
    /// The file of its vendor-data, by its path from the set's file.
    pub vendor_data: Option<String>,
    /// The file of its guest's network configuration, by its path from the set's file.
    pub network_config: Option<String>,
    /// Where the guest fetches its seed, if it is on no drive.
    pub seed_url: Option<SeedUrl>,
    /// Whether it is started with the host; `None` leaves that as it is.
    pub autostart: Option<bool>,
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
    /// Returns the account that is logged in to, if it is not the image's own.
    #[must_use]
    pub fn login(&self) -> Option<&UserSpec> {
        self.users.first()
    }

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
        let read: SetFile = yaml::from_str(text, file)?;
        let wrong = |(at, message)| yaml::error_at(text, file, at, message);
        read.check().map_err(wrong)?;
        read.into_set().map_err(wrong)
    }
}

/// Images by the names that the file gives them.
type Images = BTreeMap<String, ImageSource>;

#[cfg(test)]
mod tests;
