// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Seeds: what a machine reads at its first boot to learn who it is and who may log in.
//!
//! | module | what |
//! |---|---|
//! | `login` | Kiln's own cloud-config, and how it is merged into the user's |
//! | `mime` | both side by side, where the user's cannot be merged |
//! | `network` | which interface gets its addresses how |
//! | `nocloud` | the files and the drive that cloud-init's `NoCloud` reads |
//! | `reissue` | a machine's seed made over for its clone |
//!
//! **Invariants:** nothing of the user's data is lost or outweighed by Kiln's; no private key and
//! no file of the host gets into a seed.

mod login;
mod mime;
mod network;
mod nocloud;
mod reissue;

use kiln_disk::fs::iso9660::{IsoError, IsoFsError};
use kiln_spec::MachineName;
use uuid::Uuid;

use crate::userdata::UserData;
use crate::yaml::{self, Type, Value};

pub use network::{NetworkVersion, network_config};
pub use nocloud::VOLUME;
pub use reissue::{Reissue, Reissued, reissue};

/// The most characters of a full host name: RFC 1035, 2.3.4, less the final dot.
const FQDN_CHARS: usize = 253;

/// The most characters of a login name: useradd(8).
const LOGIN_CHARS: usize = 32;

/// Who a machine is and what it does first.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// Tells cloud-init whether this is a first boot: new for each clone, the same at each
    /// restart. A version 7 UUID, handed in.
    pub instance_id: Uuid,
    /// The host name.
    pub hostname: MachineName,
    /// The host name with its domain, if it has one: begins with the host name and a dot.
    pub fqdn: Option<String>,
    /// Who may log in.
    pub login: Login,
    /// The user's own data.
    pub user_data: Option<UserData>,
    /// The network configuration, version 1 or 2, as YAML; by default the guest asks DHCP.
    pub network_config: Option<String>,
    /// The data of whom provides the machine, weaker than the user's; as cloud-init takes it.
    pub vendor_data: Option<String>,
}

/// The account that Kiln logs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name.
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
    /// Its name, which cloud-init asks for.
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
    /// The network configuration cannot be read.
    #[error("`network-config:{line}:{column}`: {what}")]
    NetworkConfig {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// A machine's own seed cannot be read, to be made over for its clone.
    #[error("the seed of the machine cannot be read")]
    Old {
        /// Why.
        source: IsoFsError,
    },
    /// The drive could not be made.
    #[error("could not lay out the drive `{VOLUME}`")]
    Drive {
        /// Why.
        #[from]
        source: IsoError,
    },
}

impl Seed {
    /// Returns the files of the seed: `meta-data` and `user-data` always, `network-config` and
    /// `vendor-data` if they are given.
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
    /// - [`SeedError::LoginName`], [`SeedError::SshKey`], [`SeedError::Fqdn`] or
    ///   [`SeedError::NetworkConfig`] for the value that is wrong.
    pub fn files(&self) -> Result<Vec<SeedFile>, SeedError> {
        self.check()?;
        Ok(nocloud::files(self))
    }

    /// Returns the seed as a drive: ISO 9660 with the volume id [`VOLUME`], whose files all date
    /// from `time_secs` (seconds since 1970). The same seed and time give the same bytes.
    ///
    /// # Errors
    ///
    /// - As [`Seed::files`].
    /// - [`SeedError::Drive`] if the time is beyond the year 2155.
    pub fn to_iso(&self, time_secs: u64) -> Result<Vec<u8>, SeedError> {
        Ok(nocloud::iso(self.files()?, time_secs)?)
    }

    fn check(&self) -> Result<(), SeedError> {
        self.login.check()?;
        if let Some(fqdn) = &self.fqdn
            && !is_fqdn_of(fqdn, &self.hostname)
        {
            let (fqdn, hostname) = (fqdn.clone(), self.hostname.clone());
            return Err(SeedError::Fqdn { fqdn, hostname });
        }
        self.network_config.as_deref().map_or(Ok(()), check_network)
    }
}

impl Login {
    fn check(&self) -> Result<(), SeedError> {
        let first = self.name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if !first || !self.name.chars().all(rest) || self.name.len() > LOGIN_CHARS {
            return Err(SeedError::LoginName { name: self.name.clone() });
        }
        for (number, key) in (1..).zip(&self.ssh_keys) {
            if let Err((why, shown)) = check_key(key) {
                let login = self.name.clone();
                return Err(SeedError::SshKey { number, login, why, shown });
            }
        }
        Ok(())
    }
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

/// Checks that cloud-init will find a network configuration in a text: a mapping with its
/// `version`, below `network` perhaps.
fn check_network(text: &str) -> Result<(), SeedError> {
    let wrong = |spot: yaml::Spot, what: &str| {
        let what = what.to_owned();
        Err(SeedError::NetworkConfig { line: spot.line, column: spot.column, what })
    };
    let tree = match yaml::load(text) {
        Ok(tree) => tree,
        Err(problem) => return wrong(problem.spot, &problem.what),
    };
    let inner = tree.get("network").unwrap_or(&tree);
    if inner.type_of() != Type::Map {
        return wrong(inner.spot, "a network configuration must be a mapping");
    }
    if inner.get("config").and_then(|config| config.as_text()) == Some("disabled") {
        return Ok(());
    }
    match inner.get("version").map(|version| &version.value) {
        Some(Value::Scalar(version)) if matches!(version.text.as_str(), "1" | "2") => Ok(()),
        _ => wrong(inner.spot, "a network configuration must have `version: 1` or `version: 2`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of the right form; nobody has its private half.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA a@b";

    fn seed() -> Seed {
        Seed {
            instance_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            hostname: "web1".parse().unwrap(),
            fqdn: None,
            login: Login {
                name: "debian".to_owned(),
                is_default_user: true,
                ssh_keys: vec![KEY.to_owned()],
            },
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
    fn network_configurations_have_a_version() {
        for (text, expected) in [
            ("a: [", "`network-config:1:"),
            ("- x", "`network-config:1:1`: a network configuration must be a mapping"),
            (
                "ethernets: {}",
                "`network-config:1:1`: a network configuration must have `version: 1`",
            ),
            ("network: {version: 3}", "`network-config:1:10`: a network configuration must have"),
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
}
