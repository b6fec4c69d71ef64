// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Catalogs as this user has them: where they are defined, and what they offer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kiln_build::catalog::http::{Http, HttpOptions};
use kiln_build::catalog::openpgp::{Fingerprint, Keys, OpenPgp, Signers};
use kiln_build::catalog::{self, CatalogError, Check, Entry, Reader, Source, Sources, Trust};
use kiln_host::causes::in_line;
use kiln_spec::Arch;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Class, Problem};

/// What catalogs are read with; [`Tools::reader`] lends it.
#[derive(Debug)]
pub(crate) struct Tools {
    http: Http,
    environment: Vec<(OsString, OsString)>,
}

impl Tools {
    /// Takes what is needed of the environment.
    pub(crate) fn new(ctx: &Context) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let http = Http::new(HttpOptions {
            proxies: ctx.env.proxies.iter().map(|(k, v)| (text(k), text(v))).collect(),
            kiln_version: env!("CARGO_PKG_VERSION").to_owned(),
            certificates: ctx.env.ssl_cert_file.clone(),
            ..HttpOptions::default()
        });
        let pairs = [
            ("HOME", ctx.env.home.as_ref()),
            ("GNUPGHOME", ctx.env.gnupg_home.as_ref()),
            ("GPG_TTY", ctx.env.gpg_tty.as_ref()),
        ];
        let set = |(name, value): (&str, Option<&PathBuf>)| {
            Some((OsString::from(name), value?.clone().into_os_string()))
        };
        Self { http, environment: pairs.into_iter().filter_map(set).collect() }
    }

    /// Returns what fetches files.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    pub(crate) fn openpgp<'a>(&'a self, ctx: &'a Context) -> OpenPgp<'a> {
        OpenPgp { host: &ctx.host, environment: &self.environment }
    }

    pub(crate) fn reader<'a>(&'a self, ctx: &'a Context) -> Reader<'a> {
        Reader { http: &self.http, openpgp: self.openpgp(ctx) }
    }
}

/// Reads the definitions; those that are wrong are warned of.
pub(crate) fn sources(ctx: &Context) -> Sources {
    let all = Sources::read(&ctx.sub("catalogs"), &folders(ctx));
    for problem in &all.problems {
        ctx.ui.warn(format!("a catalog is passed over: {}", in_line(problem)));
    }
    all
}

/// virt-builder's folders: virt-builder(1), SOURCES OF TEMPLATES, and those of Debian, which is
/// configured with `/etc`.
fn folders(ctx: &Context) -> Vec<PathBuf> {
    let env = &ctx.env;
    let own = env.config_home();
    let list = |value: &Option<OsString>, default: &str| -> Vec<PathBuf> {
        let value = value.clone().unwrap_or_else(|| default.into());
        std::env::split_paths(&value).filter(|path| path.is_absolute()).collect()
    };
    let system = list(&env.virt_builder_dirs, "/etc");
    let xdg = list(&env.xdg_config_dirs, "/etc/xdg");
    let all = own.into_iter().chain(system).chain(xdg);
    all.map(|folder| folder.join("virt-builder/repos.d")).collect()
}

/// The processor that is meant: the one that was asked for, else this host's.
pub(crate) fn arch(asked: Option<&str>) -> String {
    let host = || Arch::native().map_or("amd64", Arch::as_str);
    asked.unwrap_or_else(host).to_owned()
}

/// Finds an image by NAME or CATALOG/NAME. Catalogs are asked in their order until one has it.
///
/// # Errors
///
/// Class object if none has it; those of a catalog that was named.
pub(crate) fn find<'a>(
    ctx: &Context,
    reader: &Reader<'_>,
    sources: &'a Sources,
    (wanted, arch): (&str, &str),
) -> anyhow::Result<(&'a Source, Entry)> {
    if let Some((name, _)) = wanted.split_once('/') {
        let source = sources.find(name)?;
        let entries = reader.read(source)?;
        warn_of(ctx, source);
        return Ok((source, catalog::find(&entries, wanted, arch)?.clone()));
    }
    let mut all = Vec::new();
    for source in &sources.list {
        let Some(entries) = offered(ctx, reader, source) else { continue };
        if let Ok(found) = catalog::find(&entries, wanted, arch) {
            return Ok((source, found.clone()));
        }
        all.extend(entries);
    }
    Err(catalog::find(&all, wanted, arch)
        .map(|_| ())
        .err()
        .map_or_else(|| Problem::stopped().into(), anyhow::Error::from))
}

/// Reads a catalog; one that cannot be read is warned of.
pub(crate) fn offered(ctx: &Context, reader: &Reader<'_>, source: &Source) -> Option<Vec<Entry>> {
    match reader.read(source) {
        Ok(entries) => {
            warn_of(ctx, source);
            Some(entries)
        }
        Err(error) => {
            ctx.ui.warn(format!("passed over: {}", in_line(&error)));
            if let (CatalogError::NoTrust { .. }, Some(hint)) = (&error, error.hint()) {
                ctx.ui.detail(format!("hint: {hint}"));
            }
            None
        }
    }
}

/// Says that a catalog is not signed.
pub(crate) fn warn_of(ctx: &Context, source: &Source) {
    if source.trust == Trust::Unsigned {
        ctx.ui.warn(format!("the catalog `{}` is UNSIGNED", source.name));
    }
}

/// Returns what a terminal may show of a catalog's words.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Returns an entry as `--json` has it.
pub(crate) fn as_json(entry: &Entry) -> Value {
    let checksum = match &entry.check {
        Check::Known(checksum) => Some(checksum.to_string()),
        _ => None,
    };
    let sums = match &entry.check {
        Check::Beside(sums) => Some(sums.url.to_string()),
        _ => None,
    };
    json!({
        "catalog": entry.catalog,
        "name": entry.name,
        "aliases": entry.aliases,
        "title": entry.title,
        "arch": entry.arch,
        "os": entry.os,
        "url": entry.url.to_string(),
        "checksum": checksum,
        "checksums_at": sums,
        "proven_by": entry.proven_by(),
        "version": entry.version,
        "format": entry.format,
        "virtual_size": entry.size,
        "download_size": entry.download,
        "user": entry.user,
        "firmware": entry.firmware,
        "hidden": entry.hidden,
        "notes": entry.notes,
    })
}

/// Returns whose signature there must be, if anybody was named.
///
/// # Errors
///
/// A fingerprint that is none (class usage); the folder that is worked in cannot be found.
pub(crate) fn signers(
    key: Option<&Path>,
    fingerprint: Option<&str>,
) -> anyhow::Result<Option<Signers>> {
    let fingerprint = fingerprint.map(Fingerprint::parse).transpose().map_err(|error| {
        Problem::new(Class::Usage, "`--fingerprint` cannot be used").because(error)
    })?;
    Ok(match (key, fingerprint) {
        (Some(key), fingerprint) => Some(Signers { keys: Keys::File(absolute(key)?), fingerprint }),
        (None, Some(key)) => Some(Signers { keys: Keys::Keyring, fingerprint: Some(key) }),
        (None, None) => None,
    })
}

/// Returns a path that stays right when the program runs elsewhere.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).map_err(|source| {
        crate::error::unreadable(&format!("could not use `{}`", path.display()), source).into()
    })
}
