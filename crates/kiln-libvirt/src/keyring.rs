// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keys of Ceph users, and the files that they come in.
//!
//! Source: `KeyRing.cc` and `Crypto.cc` of Ceph 19: a keyring is an INI file with a section for
//! each user; a key is base64 of its kind, when it was made, its length, and its bytes.
//!
//! **Invariant:** no error and no `Debug` shows a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The bytes before a key's own: kind (2), time (8), length (2), little-endian.
const HEADER: usize = 12;
/// What the names of users begin with, of whom machines are clients.
const CLIENT: &str = "client.";

/// The key of a Ceph user.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: Vec<u8>,
}

/// A key, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user, without `client.`.
    pub user: String,
    /// The key.
    pub key: Key,
}

/// Why there is no key in a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A key is none.
    #[error("line {line}: this is no key of Ceph's")]
    Key {
        /// Its line, from 1.
        line: usize,
    },
    /// A line is none of a keyring.
    #[error("line {line}: this is no line of a keyring")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// No client's key is there.
    #[error("there is no key of a client in it")]
    Empty,
    /// Several keys are there, and none was chosen.
    #[error("there are keys of several users in it: {}", users.join(", "))]
    Several {
        /// Whose they are.
        users: Vec<String>,
    },
    /// The user's key is not there.
    #[error("there is no key of `{user}` in it; there are those of: {}", users.join(", "))]
    Missing {
        /// The user that was chosen.
        user: String,
        /// Whose keys are there.
        users: Vec<String>,
    },
}

impl Key {
    /// Reads a key as Ceph writes it: base64. `None` if it is cut short, or none at all.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        let length = bytes.get(HEADER - 2..HEADER)?;
        let length = usize::from(u16::from_le_bytes(length.try_into().ok()?));
        (length > 0 && bytes.len() == HEADER + length).then_some(Self { bytes })
    }

    /// Takes the bytes that libvirt holds of a key.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Returns its bytes, as libvirt holds them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns it as Ceph writes it. Not for logs and arguments.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Reads the keys of clients in a keyring, as `ceph auth get` prints it, too.
///
/// # Errors
///
/// [`KeyringError::Key`], [`KeyringError::Line`].
pub fn parse(text: &str) -> Result<Vec<Entry>, KeyringError> {
    let mut entries = Vec::new();
    let mut section = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = Some(name.trim().to_owned());
            continue;
        }
        let wrong = KeyringError::Line { line: number };
        let (name, value) = line.split_once('=').ok_or(wrong.clone())?;
        let section = section.as_ref().ok_or(wrong)?;
        if name.trim() != "key" {
            continue;
        }
        let value = value.trim().trim_matches('"');
        let key = Key::from_base64(value).ok_or(KeyringError::Key { line: number })?;
        if let Some(user) = section.strip_prefix(CLIENT) {
            entries.push(Entry { user: user.to_owned(), key });
        }
    }
    Ok(entries)
}

/// Reads the key of `user`, or of the only user, in a keyring.
///
/// # Errors
///
/// [`KeyringError`].
pub fn choose(text: &str, user: Option<&str>) -> Result<Entry, KeyringError> {
    let mut entries = parse(text)?;
    if entries.is_empty() {
        return Err(KeyringError::Empty);
    }
    let users = || entries.iter().map(|entry| entry.user.clone()).collect();
    match user {
        Some(user) => match entries.iter().find(|entry| entry.user == user) {
            Some(entry) => Ok(entry.clone()),
            None => Err(KeyringError::Missing { user: user.to_owned(), users: users() }),
        },
        None if entries.len() == 1 => Ok(entries.remove(0)),
        None => Err(KeyringError::Several { users: users() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test: its bytes are 1 to 16.
    const KEY: &str = "AQAAAAAAAAAAABAAAQIDBAUGBwgJCgsMDQ4PEA==";

    #[test]
    fn keys_are_known_by_their_length() {
        let key = Key::from_base64(KEY).unwrap();
        assert_eq!(key.to_base64(), KEY);
        assert_eq!(key.bytes().len(), 28);
        for wrong in ["", "hunter2", "AQAAAAAAAAAAABAAAQIDBAUGBwgJCgsM", "aHVudGVyMg==", &KEY[..39]]
        {
            assert_eq!(Key::from_base64(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "Key(***)");
    }

    #[test]
    fn a_keyring_has_users() {
        let text = format!(
            "# made by hand\n[mon.]\n\tkey = {KEY}\n[client.libvirt]\n\tkey = {KEY}\n\tcaps mon = \"profile rbd\"\n"
        );
        let entry = choose(&text, None).unwrap();
        assert_eq!((entry.user.as_str(), entry.key.to_base64().as_str()), ("libvirt", KEY));
        let two = format!("{text}[client.admin]\nkey={KEY}\n");
        assert_eq!(choose(&two, Some("admin")).unwrap().user, "admin");
        let users = vec!["libvirt".to_owned(), "admin".to_owned()];
        assert_eq!(choose(&two, None), Err(KeyringError::Several { users: users.clone() }));
        let missing = KeyringError::Missing { user: "nova".into(), users };
        assert_eq!(choose(&two, Some("nova")), Err(missing));
    }

    #[test]
    fn what_is_no_keyring_is_told_by_its_line_and_shows_nothing() {
        let of = |text: &str| choose(text, None).unwrap_err();
        assert_eq!(of(""), KeyringError::Empty);
        assert_eq!(of("[mon.]\n"), KeyringError::Empty);
        assert_eq!(of("[client.a]\n\nhunter2\n"), KeyringError::Line { line: 3 });
        assert_eq!(of("key = hunter2\n"), KeyringError::Line { line: 1 });
        let error = of("[client.a]\nkey = hunter2\n");
        assert_eq!(error.to_string(), "line 2: this is no key of Ceph's");
    }
}
