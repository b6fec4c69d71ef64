// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The DNS servers that this client knows: a file each in Kiln's folder, for its owner alone.
//!
//! **Invariant:** a key is in its file, and in no argument, no log, and nothing that is printed.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use kiln_dns::{Server, TsigKey};
use kiln_spec::network::DomainName;
use kiln_spec::{DnsAddress, DnsServerName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files;
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem, unreadable, unwritable};

/// A server that machines are registered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where it is.
    pub(crate) address: DnsAddress,
    /// The zone of the machines' names.
    pub(crate) zone: DomainName,
    /// Whether addresses lead back to names.
    pub(crate) reverse: bool,
    /// The addresses that are put there; all if there are none.
    pub(crate) subnets: Vec<IpNet>,
    /// How long others keep what they are told, in seconds.
    pub(crate) ttl: u32,
    /// The key that the server knows.
    pub(crate) key: TsigKey,
}

impl Config {
    /// Returns the server, to be asked.
    pub(crate) fn server(&self) -> Server {
        Server::new((&self.address.host, self.address.port), self.key.clone(), unix_secs)
    }

    /// Returns the name of a machine there.
    pub(crate) fn name_of(&self, machine: &str) -> String {
        format!("{machine}.{}", self.zone).to_ascii_lowercase()
    }

    /// Whether an address is put there.
    pub(crate) fn takes(&self, ip: IpAddr) -> bool {
        self.subnets.is_empty() || self.subnets.iter().any(|net| net.contains(&ip))
    }

    /// Returns it as JSON, without the key's secret.
    pub(crate) fn json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "address": self.address,
            "zone": self.zone,
            "reverse": self.reverse,
            "subnets": self.subnets,
            "ttl": self.ttl,
            "key": self.key.name(),
            "algorithm": self.key.algorithm(),
        })
    }
}

fn folder(ctx: &Context) -> PathBuf {
    ctx.sub("dns").join("servers")
}

fn file(ctx: &Context, name: &str) -> PathBuf {
    files::of(&folder(ctx), name)
}

/// Returns the names of all servers, in order.
///
/// # Errors
///
/// The folder cannot be read (class file).
pub(crate) fn all(ctx: &Context) -> anyhow::Result<Vec<String>> {
    let all = files::all(&folder(ctx))?;
    let name = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = all.iter().filter_map(name).collect();
    names.sort();
    Ok(names)
}

/// Finds a server by what the user calls it.
///
/// # Errors
///
/// Not there (class object), with the nearest name; a file that is none of Kiln's (class file).
pub(crate) fn find(ctx: &Context, name: &str) -> anyhow::Result<Config> {
    let path = file(ctx, name);
    let known = name.parse::<DnsServerName>().is_ok();
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound || !known => {
            let all = all(ctx)?;
            let problem = Problem::new(Class::Object, format!("there is no DNS server `{name}`"));
            let how = "`kiln dns server add` makes one known";
            return Err(problem.did_you_mean(name, all.iter().map(String::as_str), how).into());
        }
        other => other.map_err(|source| {
            unreadable(&format!("could not read `{}`", path.display()), source)
        })?,
    };
    serde_json::from_str(&text).map_err(|error| {
        // What it says may show the secret.
        let at = format!("line {}, column {}", error.line(), error.column());
        let what = format!("`{}` is no file of a DNS server: {at}", path.display());
        Problem::new(Class::File, what).hint("remove it, and `kiln dns server add` it again").into()
    })
}

/// Keeps a server, under a name that no other has.
///
/// # Errors
///
/// The name is taken (class object); it cannot be written (class host).
pub(crate) fn keep(ctx: &Context, name: &DnsServerName, config: &Config) -> anyhow::Result<()> {
    let path = file(ctx, name.as_str());
    let failed = |source| unwritable(&format!("could not write `{}`", path.display()), source);
    let written = files::written(&path, &serde_json::to_vec(config)?).map_err(failed)?;
    match written.persist_noclobber(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            let what = format!("there is a DNS server `{name}` already");
            let hint = format!("choose another name, or `kiln dns server rm {name}` it");
            Err(Problem::new(Class::Object, what).hint(hint).into())
        }
        Err(error) => Err(failed(error.error).into()),
    }
}

/// Forgets a server.
///
/// # Errors
///
/// Its file cannot be removed (class host).
pub(crate) fn remove(ctx: &Context, name: &str) -> anyhow::Result<()> {
    let path = file(ctx, name);
    Ok(fs::remove_file(&path)
        .map_err(|source| unwritable(&format!("could not remove `{}`", path.display()), source))?)
}
