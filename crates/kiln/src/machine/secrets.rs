// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's secrets: made of a keyring, found by name, and what uses each.
//!
//! **Invariant:** a key goes from its file to libvirt, and from libvirt to a private file of a
//! program that needs it; it is in no argument, no log, and nothing that is printed.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use kiln_host::read;
use kiln_libvirt::keyring::{self, Entry, Key, KeyringError};
use kiln_libvirt::secret::{Secret, SecretView, secret_element};
use kiln_libvirt::xml::Element;
use kiln_libvirt::{Connection, Error};
use serde_json::{Value, json};
use uuid::Uuid;

use super::existing::Machine;
use super::undo::{self, Undo};
use crate::context::Context;
use crate::error::{Class, Problem, unreadable};

/// The most that is read of a keyring.
const KEYRING_MOST: u64 = 1 << 20;
/// What the description of a secret begins with that Kiln made, before the user's name.
const DESCRIPTION: &str = "Ceph user client.";

/// What there is to know of a secret, its value left out.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its UUID.
    pub(crate) uuid: Uuid,
    /// What it is called by.
    pub(crate) name: Option<String>,
    /// What it is for: `ceph`, …
    pub(crate) kind: String,
    /// The Ceph user whose key it is, if Kiln was told.
    pub(crate) user: Option<String>,
    /// Whether it is forgotten when libvirt's daemon ends.
    pub(crate) ephemeral: bool,
    /// Whether nobody but the host itself gets its value.
    pub(crate) private: bool,
}

impl Known {
    fn of(secret: &Secret) -> Result<Self, Error> {
        let view: SecretView = secret.xml()?;
        let yes = |word: Option<String>| word.as_deref() == Some("yes");
        let user = view.description().and_then(|text| user_of(&text));
        Ok(Self {
            uuid: secret.uuid(),
            name: view.usage(),
            kind: view.usage_kind().unwrap_or_default(),
            user,
            ephemeral: yes(view.ephemeral()),
            private: yes(view.private()),
        })
    }

    /// Returns what it is called by, or else its UUID.
    pub(crate) fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uuid.to_string())
    }

    /// Returns it as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "uuid": self.uuid,
            "type": self.kind,
            "user": self.user,
            "ephemeral": self.ephemeral,
            "private": self.private,
        })
    }

    /// Returns whether this part of a definition is told the secret.
    fn is_used_in(&self, element: &Element) -> bool {
        let own = |secret: &Element| {
            let uuid = secret.attribute("uuid").and_then(|uuid| uuid.parse::<Uuid>().ok());
            let kind = secret.attribute("type").is_none_or(|kind| kind == self.kind);
            let usage = secret.attribute("usage").filter(|_| kind);
            uuid == Some(self.uuid) || (usage.is_some() && usage == self.name.as_deref())
        };
        (element.name == "secret" && own(element))
            || element.elements().any(|child| self.is_used_in(child))
    }
}

fn user_of(description: &str) -> Option<String> {
    let user = description.strip_prefix(DESCRIPTION)?;
    (!user.is_empty() && !user.contains(char::is_whitespace)).then(|| user.to_owned())
}

/// Returns every secret of the host, by name.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn all(conn: &Connection) -> anyhow::Result<Vec<Known>> {
    let mut all = Vec::new();
    for secret in conn.secrets()? {
        match Known::of(&secret) {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => {}
            other => all.push(other?),
        }
    }
    all.sort_by(|a, b| (&a.name, a.uuid).cmp(&(&b.name, b.uuid)));
    Ok(all)
}

/// Finds a secret by its name or its UUID.
///
/// # Errors
///
/// Not there (class object), with the nearest name.
pub(crate) fn find(conn: &Connection, wanted: &str) -> anyhow::Result<Known> {
    let all = all(conn)?;
    let uuid = wanted.parse::<Uuid>().ok();
    let is = |one: &&Known| one.name.as_deref() == Some(wanted) || Some(one.uuid) == uuid;
    if let Some(found) = all.iter().find(is) {
        return Ok(found.clone());
    }
    let problem = Problem::new(Class::Object, format!("the host has no secret `{wanted}`"));
    let names = all.iter().filter_map(|one| one.name.as_deref());
    Err(problem.did_you_mean(wanted, names, "`kiln secret list` shows what there is").into())
}

/// Returns what uses a secret, for people: pools, and machines now or at their next start.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn users(conn: &Connection, secret: &Known) -> anyhow::Result<BTreeSet<String>> {
    let mut users = BTreeSet::new();
    for pool in conn.pools()? {
        match pool.xml() {
            // Removed between the listing and now.
            Err(error) if error.is_not_found() => {}
            other => {
                if secret.is_used_in(&other?.0) {
                    users.insert(format!("pool `{}`", pool.name()));
                }
            }
        }
    }
    for machine in Machine::all(conn)? {
        let now = machine.now()?;
        if now.iter().chain([&machine.xml]).any(|xml| secret.is_used_in(&xml.0)) {
            users.insert(format!("machine `{}`", machine.name));
        }
    }
    Ok(users)
}

/// Refuses a name that a secret for Ceph has.
///
/// # Errors
///
/// Class object; what libvirt says.
pub(crate) fn refuse_taken(conn: &Connection, name: &str) -> anyhow::Result<()> {
    match conn.ceph_secret(name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            let what = format!("the host has a secret `{name}` already");
            let hint = "choose another name, or `kiln secret rm` it";
            Err(Problem::new(Class::Object, what).hint(hint).into())
        }
    }
}

/// Makes a secret of a key; nothing is left of one that fails or is killed.
///
/// # Errors
///
/// As [`define`].
pub(crate) fn make(
    ctx: &Context,
    conn: &Connection,
    (name, uuid): (&str, Uuid),
    key: (Option<&str>, &Key),
) -> anyhow::Result<()> {
    let (job, undo) = (format!("secret-{uuid}"), undo_of(conn, (name, uuid)));
    undo::or_undone(ctx, conn, (&job, undo), || define(conn, (name, uuid), key))
}

/// Takes a secret from the host.
///
/// # Errors
///
/// What libvirt says.
pub(crate) fn take(ctx: &Context, conn: &Connection, secret: &Known) -> anyhow::Result<()> {
    undo::remove(ctx, conn, undo_of(conn, (&secret.shown(), secret.uuid)))
}

fn undo_of(conn: &Connection, (name, uuid): (&str, Uuid)) -> Undo {
    Undo::Secret { uri: conn.uri().to_string(), uuid, name: name.to_owned() }
}

/// Defines a secret and gives it its key. A step: how to undo it is in the journal.
///
/// # Errors
///
/// The name is taken (class object); what libvirt says.
pub(crate) fn define(
    conn: &Connection,
    (name, uuid): (&str, Uuid),
    (user, key): (Option<&str>, &Key),
) -> anyhow::Result<()> {
    let description = user.map_or_else(|| "Ceph key".to_owned(), |u| format!("{DESCRIPTION}{u}"));
    let secret =
        conn.define_secret(&secret_element(name, uuid, &description)).or_else(|error| {
            // Somebody else was faster.
            refuse_taken(conn, name)?;
            Err(anyhow::Error::new(error))
        })?;
    Ok(secret.set_key(key)?)
}

/// Reads the key of a user from a keyring.
///
/// # Errors
///
/// It cannot be read, or has no such key (class file, or object if it is not there).
pub(crate) fn from_keyring(path: &Path, user: Option<&str>) -> anyhow::Result<Entry> {
    let shown = path.display().to_string();
    let bytes = read::bounded(path, KEYRING_MOST)
        .map_err(|source| unreadable(&format!("could not read the keyring `{shown}`"), source))?;
    chosen(&bytes, user, &format!("`{shown}`"))
}

/// Reads a key from standard input: a keyring, or the key alone, of which nobody knows whose it is.
///
/// # Errors
///
/// As [`from_keyring`].
pub(crate) fn from_stdin(user: Option<&str>) -> anyhow::Result<(Option<String>, Key)> {
    let mut bytes = Vec::new();
    std::io::stdin().take(KEYRING_MOST).read_to_end(&mut bytes)?;
    let alone = std::str::from_utf8(&bytes).ok().and_then(Key::from_base64);
    if let Some(key) = alone {
        return Ok((user.map(str::to_owned), key));
    }
    let entry = chosen(&bytes, user, "standard input")?;
    Ok((Some(entry.user), entry.key))
}

fn chosen(bytes: &[u8], user: Option<&str>, shown: &str) -> anyhow::Result<Entry> {
    let wrong = || Problem::new(Class::File, format!("{shown} is no keyring of Ceph's"));
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    keyring::choose(text, user).map_err(|error| {
        let problem = match &error {
            KeyringError::Several { .. } => {
                let what = format!("{shown} has keys of several users");
                Problem::new(Class::Usage, what).hint("`--user NAME` says whose is meant")
            }
            KeyringError::Missing { .. } => {
                Problem::new(Class::Object, format!("{shown} has no such key"))
            }
            _ => wrong().hint("`ceph auth get client.NAME -o FILE` writes one"),
        };
        problem.because(error).into()
    })
}

/// Checks the name of a Ceph user.
///
/// # Errors
///
/// Class usage.
pub(crate) fn check_user(user: Option<&str>) -> Result<(), Problem> {
    let Some(user) = user else { return Ok(()) };
    let fine = |c: char| c.is_ascii_graphic();
    if user.is_empty() || !user.chars().all(fine) {
        return Err(Problem::new(Class::Usage, format!("`{user}` is no name of a Ceph user")));
    }
    match user.strip_prefix("client.") {
        Some(rest) => {
            let what = format!("`{user}` has its kind in it");
            Err(Problem::new(Class::Usage, what).hint(format!("leave it out: `--user {rest}`")))
        }
        None => Ok(()),
    }
}

/// Removes the secret with this UUID. Nothing there is success.
pub(crate) fn remove(conn: &Connection, uuid: Uuid) -> anyhow::Result<()> {
    match conn.secret_by_uuid(uuid).and_then(|secret| secret.undefine()) {
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

/// Refuses to remove what is used.
///
/// # Errors
///
/// Class object, with what uses it.
pub(crate) fn refuse_used(conn: &Connection, secret: &Known) -> anyhow::Result<()> {
    let users: Vec<String> = users(conn, secret)?.into_iter().collect();
    if users.is_empty() {
        return Ok(());
    }
    let what = format!("the secret `{}` is used by {}", secret.shown(), users.join(", "));
    Err(Problem::new(Class::Object, what).hint("remove them first").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_is_used() {
        let uuid = Uuid::from_u128(7);
        let secret = Known {
            uuid,
            name: Some("ceph".into()),
            kind: "ceph".into(),
            user: None,
            ephemeral: false,
            private: false,
        };
        let used = |xml: &str| secret.is_used_in(&Element::parse(xml).unwrap());
        let by_uuid = format!("<pool><source><auth><secret uuid='{uuid}'/></auth></source></pool>");
        assert!(used(&by_uuid));
        assert!(used("<a><secret type='ceph' usage='ceph'/></a>"));
        assert!(!used("<a><secret type='iscsi' usage='ceph'/></a>"));
        assert!(!used("<a><secret usage='other'/><name>ceph</name></a>"));
    }

    #[test]
    fn the_user_is_in_the_description_that_kiln_writes() {
        assert_eq!(user_of("Ceph user client.libvirt").as_deref(), Some("libvirt"));
        for other in ["Ceph key", "Ceph user client.", "client.libvirt", "Ceph user client.a b"] {
            assert_eq!(user_of(other), None, "{other}");
        }
    }

    #[test]
    fn users_have_no_kind() {
        assert!(check_user(Some("libvirt")).is_ok() && check_user(None).is_ok());
        for wrong in ["", "a b", "client.libvirt", "a\n"] {
            assert!(check_user(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
