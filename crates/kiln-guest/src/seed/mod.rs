// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seeds: what a machine reads at its first boot to learn who it is and who may log in.
//!
//! | module | what |
//! |---|---|
//! | `configdrive` | the files that OpenStack's `ConfigDrive` has |
//! | `contents` | what is in a seed that is there |
//! | `login` | Kiln's own cloud-config, and how it is merged into the user's |
//! | `merged` | the user-data: the user's, and Kiln's in it or behind it |
//! | `mime` | both side by side, where the user's cannot be merged |
//! | `network` | which interface gets its addresses how |
//! | `nocloud` | the files that cloud-init's `NoCloud` reads |
//! | `reissue` | a machine's seed made over for its clone |
//! | `setup` | accounts, packages, files and commands besides |
//! | `shape` | what a network configuration must look like |
//!
//! **Invariants:** nothing of the user's data is lost or outweighed by Kiln's; no private key and
//! no file of the host gets into a seed.

mod configdrive;
mod contents;
mod login;
mod merged;
mod mime;
mod network;
mod nocloud;
mod reissue;
mod setup;
mod shape;

use kiln_disk::fs::iso9660::{Iso, IsoError, IsoFsError};
use kiln_spec::{Datasource, MachineName};

use crate::userdata::{UserData, UserDataError};

pub use configdrive::network_data;
pub use contents::{Contents, MOST};
pub use network::{NetworkVersion, network_config};
pub use reissue::{Reissue, Reissued, reissue};
pub use setup::{Account, Setup, SetupFile};
pub use shape::check_network_config;

/// The most characters of a full host name: RFC 1035, 2.3.4, less the final dot.
const FQDN_CHARS: usize = 253;

/// The most characters of a login name: useradd(8).
const LOGIN_CHARS: usize = 32;

/// The most characters of an instance-id: a folder's name in the guest.
const ID_CHARS: usize = 128;

/// Who a machine is and what it does first.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// Who reads it.
    pub datasource: Datasource,
    /// Tells cloud-init whether this is a first boot: new for each clone, the same at each
    /// restart. For a machine its UUID, of version 7, handed in.
    pub instance_id: String,
    /// The host name.
    pub hostname: MachineName,
    /// The host name with its domain, if it has one: begins with the host name and a dot.
    pub fqdn: Option<String>,
    /// Who may log in.
    pub login: Login,
    /// What else it is to be, beside what the user's own data say.
    pub setup: Setup,
    /// The user's own data.
    pub user_data: Option<UserData>,
    /// The network configuration: version 1 or 2 as YAML, for a `ConfigDrive` OpenStack's
    /// `network_data.json`; by default the guest asks DHCP.
    pub network_config: Option<String>,
    /// The data of whom provides the machine, which the user's outweigh.
    pub vendor_data: Option<UserData>,
}

/// The account that Kiln logs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name; `default` stands for the image's own account, whatever that is called.
    pub name: String,
    /// Whether it is the one that the image makes by itself (`debian`, `ubuntu`, …). Otherwise
    /// the seed makes it, with `sudo` that asks for no password.
    pub is_default_user: bool,
    /// The public keys that open it, one line each as in `authorized_keys`.
    pub ssh_keys: Vec<String>,
}

/// A file of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedFile {
    /// Its path, which cloud-init asks for.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a seed could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The login name is none.
    #[error(
        "`{name}` is no login name: a-z first, then a-z, 0-9, `_` and `-`, {LOGIN_CHARS} characters at most"
    )]
    LoginName {
        /// The name.
        name: String,
    },
    /// An SSH key is none, or not one to be given away.
    #[error("SSH key {number} of `{login}` {why}: `{shown}`")]
    SshKey {
        /// Which one, from 1.
        number: usize,
        /// Whose.
        login: String,
        /// What is wrong with it.
        why: &'static str,
        /// Its beginning; nothing of it if it might be a private key.
        shown: String,
    },
    /// The full host name does not fit the host name, or is none.
    #[error(
        "`{fqdn}` is no full host name of `{hostname}`; it would be like `{hostname}.example.org`"
    )]
    Fqdn {
        /// The full host name.
        fqdn: String,
        /// The host name.
        hostname: MachineName,
    },
    /// The instance-id is empty, or has what no file's name may have: cloud-init names a folder so.
    #[error("`{id}` is no instance-id: 1 to {ID_CHARS} of a-z, A-Z, 0-9, `-`, `_`, `.`")]
    InstanceId {
        /// The instance-id.
        id: String,
    },
    /// The network configuration cannot be read.
    #[error(transparent)]
    NetworkConfig(#[from] UserDataError),
    /// A seed cannot be read.
    #[error("the seed cannot be read")]
    Unreadable {
        /// Why.
        source: IsoFsError,
    },
    /// What is on a drive is no seed.
    #[error("a drive labelled `{label}` is no seed: cloud-init looks for `cidata` and `config-2`")]
    Label {
        /// Its label.
        label: String,
    },
    /// A file is not there without which it is no seed.
    #[error("a seed has a file `{name}`, and this has none")]
    Incomplete {
        /// The file.
        name: &'static str,
    },
    /// What tells who the machine is cannot be read.
    #[error("`{name}` of the seed is not what it should be")]
    MetaData {
        /// The file.
        name: &'static str,
    },
    /// The drive could not be made.
    #[error("could not lay out the drive of the seed")]
    Drive {
        /// Why.
        #[from]
        source: IsoError,
    },
}

impl Seed {
    /// Returns the files of the seed: who the machine is and its user-data always, its network and
    /// the vendor-data if they are given.
    ///
    /// The user's cloud-config and Kiln's become one: Kiln's SSH keys and account are added to
    /// the lists, and a value that the user gave is never changed. Comments are lost. User data
    /// that is no cloud-config becomes a MIME message with Kiln's part behind it, which
    /// cloud-init merges by the same rule.
    ///
    /// If the user gives `users` without `default`, `default` is added when the login is the
    /// image's own account, since nobody could log in otherwise.
    ///
    /// # Errors
    ///
    /// - [`SeedError::InstanceId`], [`SeedError::LoginName`], [`SeedError::SshKey`],
    ///   [`SeedError::Fqdn`] or [`SeedError::NetworkConfig`] for the value that is wrong.
    pub fn files(&self) -> Result<Vec<SeedFile>, SeedError> {
        self.check()?;
        Ok(match self.datasource {
            Datasource::NoCloud => nocloud::files(self),
            Datasource::ConfigDrive => configdrive::files(self),
        })
    }

    /// Returns the seed as a drive: ISO 9660 with the label of its data source, whose files all
    /// date from `time_secs` (seconds since 1970). The same seed and time give the same bytes.
    ///
    /// # Errors
    ///
    /// - As [`Seed::files`].
    /// - [`SeedError::Drive`] if the time is beyond the year 2155.
    pub fn to_iso(&self, time_secs: u64) -> Result<Vec<u8>, SeedError> {
        Ok(drive(self.datasource, self.files()?, time_secs)?)
    }

    fn check(&self) -> Result<(), SeedError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let id = &self.instance_id;
        // The two names that are folders already.
        if !(1..=ID_CHARS).contains(&id.len())
            || !id.bytes().all(allowed)
            || id.bytes().all(|b| b == b'.')
        {
            return Err(SeedError::InstanceId { id: id.clone() });
        }
        self.login.check()?;
        self.setup.check()?;
        if let Some(fqdn) = &self.fqdn
            && !is_fqdn_of(fqdn, &self.hostname)
        {
            let (fqdn, hostname) = (fqdn.clone(), self.hostname.clone());
            return Err(SeedError::Fqdn { fqdn, hostname });
        }
        if let Some(text) = &self.network_config {
            check_network_config(text, self.datasource.files()[3], self.datasource)?;
        }
        Ok(())
    }
}

/// Returns files as a drive that only root can read in the guest.
fn drive(
    datasource: Datasource,
    files: Vec<SeedFile>,
    time_secs: u64,
) -> Result<Vec<u8>, IsoError> {
    let empty = Iso::new(datasource.volume(), time_secs).private();
    files.into_iter().fold(empty, |iso, file| iso.file(file.name, file.bytes)).build()
}

impl Login {
    fn check(&self) -> Result<(), SeedError> {
        let first = self.name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if !first || !self.name.chars().all(rest) || self.name.len() > LOGIN_CHARS {
            return Err(SeedError::LoginName { name: self.name.clone() });
        }
        check_keys(&self.name, &self.ssh_keys)
    }
}

/// Checks the public keys of an account.
fn check_keys(login: &str, keys: &[String]) -> Result<(), SeedError> {
    for (number, key) in (1..).zip(keys) {
        if let Err((why, shown)) = check_key(key) {
            let login = login.to_owned();
            return Err(SeedError::SshKey { number, login, why, shown });
        }
    }
    Ok(())
}

/// Returns what is wrong with a public key and how it may be shown, if something is.
fn check_key(key: &str) -> Result<(), (&'static str, String)> {
    if key.contains("PRIVATE KEY") {
        return Err((
            "is a private key; the public one is in the file that ends with `.pub`",
            "***".into(),
        ));
    }
    let shown = || key.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
    if key.trim().contains(['\n', '\r', '\0']) {
        return Err(("has more than one line", shown()));
    }
    // sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, kind, key, comment.
    let is_kind = |word: &str| {
        word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") || word.starts_with("sk-")
    };
    let mut words = key.split_whitespace().skip_while(|word| !is_kind(word));
    let body = words.nth(1).unwrap_or("");
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    // Every kind's body begins with the length of its name, a number below 256.
    if !body.starts_with("AAAA") || !body.bytes().all(base64) {
        return Err(("is no public key", shown()));
    }
    Ok(())
}

fn is_fqdn_of(fqdn: &str, hostname: &MachineName) -> bool {
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let domain = fqdn.strip_prefix(hostname.as_str()).and_then(|rest| rest.strip_prefix('.'));
    fqdn.len() <= FQDN_CHARS && domain.is_some_and(|domain| domain.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of the right form; nobody has its private half.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b";

    fn seed() -> Seed {
        Seed {
            datasource: Datasource::NoCloud,
            instance_id: "01900000-0000-7000-8000-000000000001".into(),
            hostname: "web1".parse().unwrap(),
            fqdn: None,
            login: Login {
                name: "debian".to_owned(),
                is_default_user: true,
                ssh_keys: vec![KEY.to_owned()],
            },
            setup: Setup::default(),
            user_data: None,
            network_config: None,
            vendor_data: None,
        }
    }

    fn error(change: impl FnOnce(&mut Seed)) -> String {
        let mut seed = seed();
        change(&mut seed);
        seed.files().unwrap_err().to_string()
    }

    #[test]
    fn login_names_are_checked() {
        for name in ["", "Root", "1a", "a b", "a:b", "-x", &"a".repeat(33)] {
            assert_eq!(
                error(|s| s.login.name = name.to_owned()),
                format!(
                    "`{name}` is no login name: a-z first, then a-z, 0-9, `_` and `-`, \
                     32 characters at most"
                )
            );
        }
    }

    #[test]
    fn keys_are_checked_and_private_ones_never_shown() {
        let with = |key: &str| error(|s| s.login.ssh_keys.push(key.to_owned()));
        assert_eq!(
            with("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret"),
            "SSH key 2 of `debian` is a private key; the public one is in the file that ends \
             with `.pub`: `***`"
        );
        assert_eq!(with("hello"), "SSH key 2 of `debian` is no public key: `hello`");
        assert_eq!(with("ssh-rsa"), "SSH key 2 of `debian` is no public key: `ssh-rsa`");
        assert!(with(&format!("{KEY}\n{KEY}")).contains("has more than one line"));
        let mut seed = seed();
        seed.login.ssh_keys =
            vec![format!("from=\"10.0.0.1\" {KEY}"), format!("{KEY} \n"), KEY.replace(" a@b", "")];
        assert!(seed.files().is_ok());
    }

    #[test]
    fn full_names_begin_with_the_host_name() {
        for fqdn in ["web1", "web1.", "web2.example.org", "web1.ex ample", "web1.-a", "web10.x"] {
            assert_eq!(
                error(|s| s.fqdn = Some(fqdn.to_owned())),
                format!(
                    "`{fqdn}` is no full host name of `web1`; it would be like `web1.example.org`"
                )
            );
        }
        assert!(Seed { fqdn: Some("web1.example.org".into()), ..seed() }.files().is_ok());
    }

    #[test]
    fn instance_ids_name_folders() {
        for id in ["", "..", "a/b", "a b", &"a".repeat(129)] {
            let said = error(|s| s.instance_id = id.to_owned());
            assert!(said.starts_with(&format!("`{id}` is no instance-id")), "{said}");
        }
        assert!(Seed { instance_id: "iid-web1.2_x".into(), ..seed() }.files().is_ok());
    }

    #[test]
    fn network_configurations_are_checked() {
        for (text, expected) in [
            ("a: [", "`network-config:1:"),
            ("- x", "`network-config:1:1`: must be a mapping, and is a list"),
        ] {
            let error = error(|s| s.network_config = Some(text.to_owned()));
            assert!(error.starts_with(expected), "{error}");
        }
        for text in
            ["version: 2\nethernets: {}\n", "network: {version: 1, config: []}", "config: disabled"]
        {
            assert!(Seed { network_config: Some(text.into()), ..seed() }.files().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_was_made_is_read_back() {
        for datasource in Datasource::ALL {
            let vendor = UserData::parse(b"#!/bin/sh\n", "v").unwrap();
            let seed = Seed { datasource: *datasource, vendor_data: Some(vendor), ..seed() };
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &seed.to_iso(0).unwrap()).unwrap();
            let device = kiln_disk::device::RawFile::new(file).unwrap();
            let read = Contents::of_drive(Box::new(device)).unwrap();
            assert_eq!((read.datasource, &read.files), (*datasource, &seed.files().unwrap()));
            let of_folder: Result<Contents, SeedError> =
                Contents::of_folder(|name| Ok(read.file(name).map(<[u8]>::to_vec)));
            assert_eq!(of_folder.unwrap(), read);
        }
        let none = Contents::of_folder(|_| Ok::<_, SeedError>(None)).unwrap_err();
        assert_eq!(none.to_string(), "a seed has a file `meta-data`, and this has none");
    }
}
