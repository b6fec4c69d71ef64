// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe says of the tree: files, users, commands, units.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::words::{GuestPath, Owner, SshKey, UnitName, UserName};
use super::{FileMode, GroupName};

/// A file or folder that is put into an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Where.
    pub path: GuestPath,
    /// What it holds.
    #[serde(flatten)]
    pub what: FileSource,
    /// Its permissions; of a folder's files those of the originals if nobody says.
    pub mode: Option<FileMode>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Owner::is_root")]
    pub owner: Owner,
    /// Its group.
    #[serde(skip_serializing_if = "Owner::is_root")]
    pub group: Owner,
}

/// Where the contents of a file come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// The recipe itself.
    Content(String),
    /// A file or folder of the recipe's folder.
    Source(String),
    /// A file of the recipe's folder in which parameters are replaced.
    Template(String),
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: UserName,
    /// Its number; `None` for the next free one.
    pub uid: Option<u32>,
    /// Further groups, which must be there.
    #[serde(default)]
    pub groups: Vec<GroupName>,
    /// Its shell.
    pub shell: Option<GuestPath>,
    /// Its home directory.
    pub home: Option<GuestPath>,
    /// Public keys that log in to it.
    #[serde(default)]
    pub ssh_keys: Vec<SshKey>,
    /// Whether it may do everything with sudo, without a password.
    #[serde(default)]
    pub sudo: bool,
}

/// Lines for the tree's `/bin/sh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The lines.
    pub run: String,
    /// Whether they reach the network.
    pub network: bool,
    /// What they are called.
    pub name: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CommandFile {
    /// The lines.
    run: String,
    /// Whether they reach the network.
    #[serde(default)]
    network: bool,
    /// What they are called.
    name: Option<String>,
}

impl JsonSchema for Command {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<CommandFile>();
        json_schema!({ "description": "Lines for the tree's `/bin/sh`.", "anyOf": [{ "type": "string" }, keys] })
    }
}

/// A text, or keys with values.
impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lines for a shell, or the keys `run`, `network` and `name`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Command, E> {
                Ok(Command { run: text.to_owned(), network: false, name: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Command, A::Error> {
                let CommandFile { run, network, name } =
                    Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Command { run, network, name })
            }
        }
        from.deserialize_any(Either)
    }
}

/// Units of systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Those that start with the machine.
    #[serde(default)]
    pub enable: Vec<UnitName>,
    /// Those that do not.
    #[serde(default)]
    pub disable: Vec<UnitName>,
    /// Those that cannot be started.
    #[serde(default)]
    pub mask: Vec<UnitName>,
}

impl Units {
    /// Returns whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.enable.is_empty() && self.disable.is_empty() && self.mask.is_empty()
    }
}
