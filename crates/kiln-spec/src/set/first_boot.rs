// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a set's file says of a machine's first boot: accounts, packages, files, commands.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::file::Finding;
use crate::recipe::{
    FileEntry, FileMode, FileSource, GroupName, GuestPath, Owner, UserName, content_or_source,
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// Its name.
    pub name: UserName,
    /// The files of the public keys that log in to it, as they are written.
    pub ssh_keys: Vec<String>,
    /// Whether it may do everything with sudo, without a password.
    pub sudo: bool,
    /// Further groups.
    pub groups: Vec<GroupName>,
    /// Its shell, if it is not the usual one.
    pub shell: Option<GuestPath>,
    /// The file of its password's hash, by its path from the set's file.
    pub password_hash: Option<String>,
}

impl UserSpec {
    /// Returns whether it has a name, keys and sudo, and nothing else: what a login has.
    #[must_use]
    pub fn is_login(&self) -> bool {
        self.sudo && self.groups.is_empty() && self.shell.is_none() && self.password_hash.is_none()
    }
}

/// A command of the guest's first boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstCommand {
    /// Lines for a shell.
    Shell(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for FirstCommand {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = FirstCommand;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lines for a shell, or a list: a program and its arguments")
            }

            fn visit_str<E>(self, text: &str) -> Result<FirstCommand, E> {
                Ok(FirstCommand::Shell(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<FirstCommand, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(FirstCommand::Words)
            }
        }
        from.deserialize_any(Either)
    }
}

impl JsonSchema for FirstCommand {
    fn schema_name() -> Cow<'static, str> {
        "FirstCommand".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Lines for a shell, or a list: a program and its arguments.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFile {
    /// Its name.
    name: UserName,
    /// Files with the public keys that log in to it, from this file's folder.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    ssh_keys: Vec<Spanned<String>>,
    /// Whether it may do everything with sudo, without a password.
    #[serde(default)]
    sudo: bool,
    /// Further groups.
    #[serde(default)]
    groups: Vec<GroupName>,
    /// Its shell.
    shell: Option<GuestPath>,
    /// The file of its password's hash, from this file's folder.
    #[schemars(with = "Option<String>")]
    password_hash: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestFile {
    /// Where it is put.
    #[schemars(with = "GuestPath")]
    path: Spanned<GuestPath>,
    /// What is in it; or `source`.
    content: Option<String>,
    /// A file, from this file's folder; or `content`.
    source: Option<String>,
    /// Its permissions; 0644.
    #[serde(default)]
    mode: FileMode,
    /// Whose it is; root's.
    #[serde(default)]
    owner: Owner,
    /// Its group; root's.
    #[serde(default)]
    group: Owner,
}

/// Checks the accounts; the first is the one that is logged in to.
pub(super) fn check_users(users: &[Spanned<UserFile>]) -> Result<(), Finding> {
    if let Some(first) = users.first().filter(|first| !first.value.sudo) {
        let message = format!(
            "the account that Kiln logs in to, the first, may use sudo: say `sudo: true` of `{}`, or put another before it",
            first.value.name
        );
        return Err((first.referenced, message));
    }
    let mut names = BTreeSet::new();
    for user in users {
        user.value.check()?;
        if !names.insert(&user.value.name) {
            let message = format!("the user `{}` is there twice", user.value.name);
            return Err((user.referenced, message));
        }
    }
    Ok(())
}

impl UserFile {
    fn check(&self) -> Result<(), Finding> {
        let is_key =
            |text: &str| text.contains(' ') && !text.contains('/') || text.starts_with("ssh-");
        if let Some(key) = self.ssh_keys.iter().find(|key| is_key(&key.value)) {
            return Err((key.referenced, "this is a key; name the file that it is in".into()));
        }
        match self.password_hash.as_ref().filter(|hash| hash.value.starts_with('$')) {
            Some(hash) => {
                let message =
                    "this is a hash, and others read this file: name the file that it is in";
                Err((hash.referenced, message.into()))
            }
            None => Ok(()),
        }
    }

    pub(super) fn into_spec(self) -> UserSpec {
        UserSpec {
            name: self.name,
            ssh_keys: self.ssh_keys.into_iter().map(|key| key.value).collect(),
            sudo: self.sudo,
            groups: self.groups,
            shell: self.shell,
            password_hash: self.password_hash.map(|hash| hash.value),
        }
    }
}

/// Checks the files.
pub(super) fn check_files(files: &[GuestFile]) -> Result<(), Finding> {
    let mut seen = BTreeSet::new();
    for file in files {
        let wrong = |message| (file.path.referenced, message);
        let path = &file.path.value;
        content_or_source(path, file.content.is_some(), file.source.is_some()).map_err(wrong)?;
        if !seen.insert(path) {
            return Err(wrong(format!("`{path}` is there twice")));
        }
    }
    Ok(())
}

impl GuestFile {
    pub(super) fn into_entry(self) -> FileEntry {
        let what = match self.content {
            Some(content) => FileSource::Content(content),
            None => FileSource::Source(self.source.unwrap_or_default()),
        };
        let (path, owner, group) = (self.path.value, self.owner, self.group);
        FileEntry { path, what, mode: Some(self.mode), owner, group }
    }
}

/// Checks the commands.
pub(super) fn check_commands(commands: &[Spanned<FirstCommand>]) -> Result<(), Finding> {
    let is_empty = |command: &FirstCommand| match command {
        FirstCommand::Shell(lines) => lines.trim().is_empty(),
        FirstCommand::Words(words) => words.first().is_none_or(String::is_empty),
    };
    let empty = commands.iter().find(|command| is_empty(&command.value));
    empty.map_or(Ok(()), |empty| Err((empty.referenced, "there is nothing to run".into())))
}
