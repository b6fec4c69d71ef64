// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Simplestreams: trees of JSON, as Ubuntu publishes its cloud images.
//!
//! ```text
//! streams/v1/index.sjson     index:1.0 → the files of products
//! streams/v1/*.sjson         products:1.0 → products → versions → items, with checksums
//! ```
//!
//! `.sjson` are clear-signed; `.json` are the same without signatures, and are read of catalogs
//! that the user takes unsigned. Of each product the newest version counts. Source:
//! <https://cloud-images.ubuntu.com/releases/streams/v1/>, and `simplestreams_parser.ml` of
//! virt-builder 1.56.

use std::collections::BTreeMap;

use kiln_spec::Bytes;
use kiln_spec::image::Os;
use serde::Deserialize;

use super::checksum::{Algorithm, Checksum};
use super::entry::{Check, Entry, Proof};
use super::source::{Source, Trust};
use super::url::Address;
use super::{CatalogError, Kind, Reader};

/// The most files of products that an index may name.
const MOST_STREAMS: usize = 64;
/// The items that are disks of a machine, the best first. `disk1.img` is Ubuntu's qcow2,
/// `disk.qcow2` that of the images for Incus.
const DISKS: [&str; 5] = ["disk1.img", "disk.img", "disk.qcow2", "disk-kvm.img", "uefi1.img"];

/// The kind of simplestreams.
#[derive(Clone, Copy, Debug)]
pub struct SimpleStreams;

impl Kind for SimpleStreams {
    fn word(&self) -> Option<&'static str> {
        Some("simplestreams")
    }

    fn about(&self) -> &'static str {
        "simplestreams: the address of the folder that has `streams/`"
    }

    fn read(&self, source: &Source, reader: &Reader<'_>) -> Result<Vec<Entry>, CatalogError> {
        let Some(uri) = &source.uri else { return Ok(Vec::new()) };
        let base = uri.folder();
        let ending = if source.trust == Trust::Unsigned { "json" } else { "sjson" };
        let index = join(&base, &format!("streams/v1/index.{ending}"))?;
        let (bytes, _) = reader.signed_text(source, &index)?;
        let mut entries = Vec::new();
        for path in streams(&bytes, &index.to_string())?.into_iter().take(MOST_STREAMS) {
            let stem = path.strip_suffix(".sjson").or_else(|| path.strip_suffix(".json"));
            let path = stem.map_or_else(|| path.clone(), |stem| format!("{stem}.{ending}"));
            let url = join(&base, &path)?;
            let (bytes, proof) = reader.signed_text(source, &url)?;
            entries.extend(products(&bytes, &url.to_string(), &base, (source, &proof))?);
        }
        Ok(entries)
    }
}

fn join(base: &Address, path: &str) -> Result<Address, CatalogError> {
    base.join(path).map_err(|what| stream(&base.to_string(), format!("a path in it {what}")))
}

fn stream(file: &str, what: String) -> CatalogError {
    CatalogError::Stream { file: file.to_owned(), what }
}

#[derive(Deserialize)]
struct Index {
    format: String,
    index: BTreeMap<String, Stream>,
}

#[derive(Deserialize)]
struct Stream {
    format: Option<String>,
    datatype: Option<String>,
    path: String,
}

/// Returns the paths of the files of products.
///
/// # Errors
///
/// [`CatalogError::Stream`].
pub fn streams(bytes: &[u8], name: &str) -> Result<Vec<String>, CatalogError> {
    let index: Index = parse(bytes, name)?;
    if index.format != "index:1.0" {
        return Err(stream(name, format!("its format is `{}`", index.format.escape_debug())));
    }
    let is = |word: &Option<String>, known: &str| word.as_deref() == Some(known);
    let wanted = |s: &Stream| is(&s.format, "products:1.0") && is(&s.datatype, "image-downloads");
    Ok(index.index.into_values().filter(wanted).map(|s| s.path).collect())
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], name: &str) -> Result<T, CatalogError> {
    serde_json::from_slice(bytes).map_err(|error| stream(name, error.to_string()))
}

#[derive(Deserialize)]
struct Tree {
    format: String,
    products: BTreeMap<String, Product>,
}

#[derive(Deserialize)]
struct Product {
    arch: Option<String>,
    aliases: Option<String>,
    os: Option<String>,
    release: Option<String>,
    release_title: Option<String>,
    variant: Option<String>,
    version: Option<String>,
    #[serde(default)]
    versions: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    pubname: Option<String>,
    #[serde(default)]
    items: BTreeMap<String, Item>,
}

#[derive(Deserialize)]
struct Item {
    path: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    sha512: Option<String>,
}

/// Returns the newest disk of each product of a file. `base` is where paths begin.
///
/// # Errors
///
/// [`CatalogError::Stream`], for a path that leads elsewhere, too.
pub fn products(
    bytes: &[u8],
    name: &str,
    base: &Address,
    (source, proof): (&Source, &Proof),
) -> Result<Vec<Entry>, CatalogError> {
    let tree: Tree = parse(bytes, name)?;
    if tree.format != "products:1.0" {
        return Err(stream(name, format!("its format is `{}`", tree.format.escape_debug())));
    }
    let mut entries = Vec::new();
    for (id, product) in &tree.products {
        let newest = product.versions.iter().rev().find_map(|(serial, version)| {
            let disk = DISKS.iter().find_map(|disk| version.items.get(*disk))?;
            Some((serial, version, disk))
        });
        let Some((serial, version, disk)) = newest else { continue };
        let Some(path) = &disk.path else { continue };
        let url = join(base, path)?;
        let check = checksum(disk);
        let names = names(id, product, version);
        entries.push(Entry {
            catalog: source.name.clone(),
            name: names.first().cloned().unwrap_or_else(|| id.clone()),
            aliases: names.into_iter().skip(1).chain([id.clone()]).collect(),
            title: title(product, id),
            arch: product.arch.clone().unwrap_or_default(),
            os: os(product, id),
            url,
            check: check.map_or(Check::Missing, Check::Known),
            version: serial.clone(),
            format: None,
            size: None,
            download: disk.size.map(Bytes),
            user: product.os.as_deref().filter(|os| *os == "ubuntu").map(str::to_owned),
            firmware: Vec::new(),
            notes: BTreeMap::new(),
            hidden: false,
            proof: proof.clone(),
        });
    }
    Ok(entries)
}

fn checksum(item: &Item) -> Option<Checksum> {
    let sha512 = item.sha512.as_deref().and_then(|hex| Checksum::new(Algorithm::Sha512, hex));
    sha512.or_else(|| Checksum::new(Algorithm::Sha256, item.sha256.as_deref()?))
}

/// The names that people may use: `ubuntu-24.04`, the aliases, the name of the publication.
fn names(id: &str, product: &Product, version: &Version) -> Vec<String> {
    let safe = |text: &str| {
        let keep = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
        text.chars().map(keep).collect::<String>()
    };
    let os = product.os.as_deref().or_else(|| id.split(':').next()).unwrap_or_default();
    let os = safe(os).to_ascii_lowercase();
    let release = product.version.as_deref().or(product.release.as_deref());
    let variant = product.variant.as_deref().filter(|variant| *variant != "default");
    let mut names = Vec::new();
    if let (false, Some(release)) = (os.is_empty(), release) {
        let tail = variant.map_or_else(String::new, |variant| format!("-{}", safe(variant)));
        names.push(format!("{os}-{}{tail}", safe(release)));
        if let Some(code) = product.release.as_deref().filter(|code| *code != release) {
            names.push(format!("{os}-{}{tail}", safe(code)));
        }
    }
    let aliases = product.aliases.iter().flat_map(|all| all.split(','));
    names.extend(aliases.map(|alias| safe(alias.trim())).filter(|alias| !alias.is_empty()));
    names.extend(version.pubname.as_deref().map(safe));
    names
}

fn title(product: &Product, id: &str) -> String {
    let (Some(os), Some(release)) = (&product.os, &product.release_title) else {
        return id.to_owned();
    };
    let mut letters = os.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{} {release}", letters.as_str())
}

fn os(product: &Product, id: &str) -> Os {
    let version = product.version.clone().or_else(|| product.release.clone());
    Os {
        id: product.os.clone().unwrap_or_default().to_ascii_lowercase(),
        version: version.unwrap_or_default(),
        pretty_name: title(product, id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::source::built_in;

    fn tree(path: &str) -> String {
        let item = |path: &str, digit: char| {
            let hex = digit.to_string().repeat(64);
            format!(
                r#"{{"ftype":"disk1.img","path":"{path}","sha256":"{hex}","size":9,"md5":"x"}}"#
            )
        };
        format!(
            r#"{{"format":"products:1.0","datatype":"image-downloads","products":{{
            "com.ubuntu.cloud:server:24.04:amd64":{{"aliases":"24.04,noble,lts","arch":"amd64",
              "os":"ubuntu","release":"noble","release_title":"24.04 LTS","version":"24.04",
              "versions":{{
                "20260101":{{"pubname":"old","items":{{"disk1.img":{}}}}},
                "20260201":{{"pubname":"new","items":{{"disk1.img":{},"manifest":{{"path":"m"}}}}}},
                "20260301":{{"items":{{"tar.gz":{{"path":"t"}}}}}}}}}},
            "empty":{{"arch":"amd64","versions":{{}}}}}}}}"#,
            item("a/old.img", '1'),
            item(path, '2')
        )
    }

    fn read(text: &str) -> Result<Vec<Entry>, String> {
        let base = Address::parse("https://h/releases/").unwrap();
        let source = built_in();
        products(text.as_bytes(), "p.json", &base, (&source, &Proof::Unsigned))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_newest_disk_of_each_product_is_offered() {
        let entries = read(&tree("a/new.img")).unwrap();
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!(entry.name, "ubuntu-24.04");
        assert_eq!(
            entry.aliases,
            ["ubuntu-noble", "24.04", "noble", "lts", "new", "com.ubuntu.cloud:server:24.04:amd64"]
        );
        assert_eq!(entry.url.secret(), "https://h/releases/a/new.img");
        assert_eq!(entry.title, "Ubuntu 24.04 LTS");
        assert_eq!((entry.version.as_str(), entry.download), ("20260201", Some(Bytes(9))));
        let digest = Checksum::new(Algorithm::Sha256, &"2".repeat(64)).unwrap();
        assert_eq!(entry.check, Check::Known(digest));
    }

    #[test]
    fn an_index_names_the_files_of_products() {
        let index = r#"{"format":"index:1.0","index":{
            "a":{"format":"products:1.0","datatype":"image-downloads","path":"streams/v1/a.json"},
            "b":{"format":"products:1.0","datatype":"image-ids","path":"streams/v1/b.json"}}}"#;
        assert_eq!(streams(index.as_bytes(), "i").unwrap(), ["streams/v1/a.json"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str| read(text).unwrap_err();
        let told = error(&tree("../../etc/shadow"));
        assert!(
            told.contains("a path in it is a path that leads elsewhere: `../../etc/shadow`"),
            "{told}"
        );
        assert!(error("{").starts_with("`p.json` cannot be understood: EOF"));
        assert!(error(r#"{"format":"x","products":{}}"#).ends_with("its format is `x`"));
        assert!(streams(br#"{"format":"x","index":{}}"#, "i").is_err());
    }
}
