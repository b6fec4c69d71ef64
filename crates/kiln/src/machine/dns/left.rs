// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of machines that are gone, which could not be taken back: a file each, until they are.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use uuid::Uuid;

use super::files;
use super::memory::{Dns, record_json, record_of};
use crate::context::Context;
use crate::error::{unreadable, unwritable};
use crate::machine::existing::Machine;

/// What a machine left in DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Its name.
    pub(crate) machine: String,
    /// Its UUID, by which its names are marked.
    pub(crate) uuid: Uuid,
    /// The host that it was on.
    pub(crate) host: String,
    /// Its names.
    pub(crate) dns: Dns,
}

impl Left {
    /// Returns what is left as JSON.
    fn json(&self) -> Value {
        json!({
            "machine": self.machine,
            "uuid": self.uuid,
            "host": self.host,
            "server": self.dns.server,
            "records": self.dns.records.iter().map(record_json).collect::<Vec<_>>(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let word = |key: &str| value[key].as_str().map(str::to_owned);
        let records = value["records"].as_array()?.iter().map(record_of);
        Some(Self {
            machine: word("machine")?,
            uuid: word("uuid")?.parse().ok()?,
            host: word("host")?,
            dns: Dns { server: word("server")?, records: records.collect::<Option<_>>()? },
        })
    }
}

fn folder(ctx: &Context) -> PathBuf {
    ctx.sub("dns").join("left")
}

fn file(ctx: &Context, uuid: Uuid) -> PathBuf {
    files::of(&folder(ctx), &uuid.to_string())
}

/// Keeps in mind what a machine has in DNS, before the machine goes. Returns that.
///
/// # Errors
///
/// It cannot be written (class host): then the machine must not go.
pub(super) fn keep(ctx: &Context, machine: &Machine, dns: &Dns) -> anyhow::Result<Left> {
    let left = Left {
        machine: machine.name.clone(),
        uuid: machine.uuid,
        host: machine.conn.uri().to_string(),
        dns: dns.clone(),
    };
    write(ctx, &left)?;
    Ok(left)
}

/// Writes what is left, over what was written of it before.
pub(super) fn write(ctx: &Context, left: &Left) -> anyhow::Result<()> {
    let path = file(ctx, left.uuid);
    let failed = |source| unwritable(&format!("could not write `{}`", path.display()), source);
    let written = files::written(&path, left.json().to_string().as_bytes()).map_err(failed)?;
    written.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Forgets what a machine has left: it is gone, or nobody's business any more.
///
/// # Errors
///
/// The file cannot be removed (class host).
pub(crate) fn forget(ctx: &Context, uuid: Uuid) -> anyhow::Result<()> {
    let path = file(ctx, uuid);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => Ok(other.map_err(|source| {
            unwritable(&format!("could not remove `{}`", path.display()), source)
        })?),
    }
}

/// Returns all that is left of machines, by their names.
///
/// # Errors
///
/// It cannot be read (class file).
pub(crate) fn all(ctx: &Context) -> anyhow::Result<Vec<Left>> {
    let mut all = Vec::new();
    for path in files::all(&folder(ctx))? {
        let failed = |source| unreadable(&format!("could not read `{}`", path.display()), source);
        match fs::read_to_string(&path) {
            // Taken back just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => all.extend(Left::read(&other.map_err(failed)?)),
        }
    }
    all.sort_by(|a, b| (&a.machine, a.uuid).cmp(&(&b.machine, b.uuid)));
    Ok(all)
}

/// Returns what machines of a name have left that are not among `there`.
///
/// # Errors
///
/// As [`all`].
pub(crate) fn of_machine(
    ctx: &Context,
    name: &str,
    there: Option<Uuid>,
) -> anyhow::Result<Vec<Left>> {
    let mut all = all(ctx)?;
    all.retain(|left| left.machine == name && Some(left.uuid) != there);
    Ok(all)
}
