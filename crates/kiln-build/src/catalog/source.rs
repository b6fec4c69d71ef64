// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where catalogs are defined: Kiln's own folder, and virt-builder's.
//!
//! A definition is a file `NAME.conf` in virt-builder's grammar. Kiln knows its keys and two more:
//!
//! ```text
//! [mine]
//! uri=https://images.example/index.asc
//! gpgkey=file:///etc/keys/mine.gpg       who may sign: the keys in a file,
//! fingerprint=0123…                      or this key: of that file, or of the user's keyring
//! trust=unsigned                         or nobody at all
//! proxy=system                           no, off, system, or an address
//! format=native                          native, simplestreams
//! ```
//!
//! virt-builder silently checks nothing where there is no `gpgkey`. Kiln lists such a catalog and
//! reads nothing of it until the user says who may sign it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kiln_spec::yaml;

use super::http::ProxyRule;
use super::openpgp::{Fingerprint, Keys, Signers};
use super::url::Address;
use super::virt_builder::{Section, scan};
use super::{CatalogError, KINDS, Kind};

/// The most that a definition may have.
const DEFINITION_MOST: u64 = 1 << 20;

/// A catalog: where it is and whom it is believed.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where it is; `None` for the one that comes with Kiln.
    pub uri: Option<Address>,
    /// What kind it is of.
    pub kind: &'static dyn Kind,
    /// Who may sign it.
    pub trust: Trust,
    /// How it is reached.
    pub proxy: ProxyRule,
    /// The file that defines it; `None` for the one that comes with Kiln.
    pub file: Option<PathBuf>,
}

/// Whom a catalog is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those who hold these keys.
    Signed(Signers),
    /// Anybody: the user said so.
    Unsigned,
    /// It comes with Kiln.
    BuiltIn,
    /// Nobody said. Nothing of it is read.
    Unknown,
}

impl Trust {
    /// Returns it in words, for a list.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Signed(Signers { fingerprint: Some(key), .. }) => format!("signed by {key}"),
            Self::Signed(Signers { keys: Keys::File(path), .. }) => {
                format!("signed by a key in {}", path.display())
            }
            Self::Signed(_) => "signed".into(),
            Self::Unsigned => "UNSIGNED: anybody who can change it is believed".into(),
            Self::BuiltIn => "comes with kiln".into(),
            Self::Unknown => "not read: nothing says who may sign it".into(),
        }
    }
}

/// The catalogs that are defined.
#[derive(Debug)]
pub struct Sources {
    /// Each, in the order in which they are asked.
    pub list: Vec<Source>,
    /// Definitions that cannot be read: they are passed over.
    pub problems: Vec<CatalogError>,
    ours: PathBuf,
}

impl Sources {
    /// Reads the definitions: first those in `ours`, then those in `others`, virt-builder's
    /// folders in their order, then the catalog that comes with Kiln. As with virt-builder, the
    /// first definition of a name counts, and the first file of a name.
    ///
    /// # Errors
    ///
    /// None: see [`Sources::problems`].
    #[must_use]
    pub fn read(ours: &Path, others: &[PathBuf]) -> Self {
        let mut all = Self { list: Vec::new(), problems: Vec::new(), ours: ours.to_owned() };
        let mut files = BTreeSet::new();
        for folder in std::iter::once(ours).chain(others.iter().map(PathBuf::as_path)) {
            for path in definitions(folder) {
                if !files.insert(path.file_name().map(ToOwned::to_owned)) {
                    continue;
                }
                match read_file(&path) {
                    Ok(found) => all.merge(found),
                    Err(error) => all.problems.push(error),
                }
            }
        }
        all.list.push(built_in());
        all
    }

    fn merge(&mut self, found: Vec<Result<Source, CatalogError>>) {
        for source in found {
            match source {
                Ok(source) if self.list.iter().any(|known| known.name == source.name) => {}
                Ok(source) => self.list.push(source),
                Err(error) => self.problems.push(error),
            }
        }
    }

    /// Finds a catalog by name.
    ///
    /// # Errors
    ///
    /// [`CatalogError::NoCatalog`], with the nearest name.
    pub fn find(&self, name: &str) -> Result<&Source, CatalogError> {
        self.list.iter().find(|source| source.name == name).ok_or_else(|| {
            let near = yaml::nearest(name, self.list.iter().map(|s| s.name.as_str()));
            CatalogError::NoCatalog { name: name.to_owned(), near: near.map(str::to_owned) }
        })
    }

    /// Writes a definition into Kiln's folder; returns the file.
    ///
    /// # Errors
    ///
    /// [`CatalogError::Exists`], [`CatalogError::Name`], [`CatalogError::Io`].
    pub fn add(&self, source: &Source) -> Result<PathBuf, CatalogError> {
        check_name(&source.name)?;
        if self.list.iter().any(|known| known.name == source.name) {
            return Err(CatalogError::Exists { name: source.name.clone() });
        }
        let path = self.ours.join(format!("{}.conf", source.name));
        let fail = |e| CatalogError::io("write", &path, e);
        fs::create_dir_all(&self.ours).map_err(|e| CatalogError::io("make", &self.ours, e))?;
        // An address may hold a password: only the user reads it.
        let mut file = tempfile::NamedTempFile::new_in(&self.ours).map_err(fail)?;
        io::Write::write_all(&mut file, definition(source).as_bytes()).map_err(fail)?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(&path).map_err(|e| fail(e.error))?;
        Ok(path)
    }

    /// Removes a definition from Kiln's folder; returns the file.
    ///
    /// # Errors
    ///
    /// [`CatalogError::NoCatalog`]; [`CatalogError::NotOurs`] for one of virt-builder's folders
    /// and the one that comes with Kiln; [`CatalogError::Io`].
    pub fn remove(&self, name: &str) -> Result<PathBuf, CatalogError> {
        let source = self.find(name)?;
        let ours = source.file.as_ref().filter(|file| file.starts_with(&self.ours));
        let Some(path) = ours else {
            let place = source.file.as_ref();
            let place = place.map_or_else(|| "kiln".into(), |file| file.display().to_string());
            return Err(CatalogError::NotOurs { name: name.to_owned(), place });
        };
        fs::remove_file(path).map_err(|e| CatalogError::io("remove", path, e))?;
        Ok(path.clone())
    }
}

/// The catalog that comes with Kiln.
#[must_use]
pub fn built_in() -> Source {
    Source {
        name: super::builtin::NAME.into(),
        uri: None,
        kind: &super::builtin::BuiltIn,
        trust: Trust::BuiltIn,
        proxy: ProxyRule::System,
        file: None,
    }
}

fn definitions(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    paths.sort();
    paths
}

fn read_file(path: &Path) -> Result<Vec<Result<Source, CatalogError>>, CatalogError> {
    let bytes = kiln_host::read::bounded(path, DEFINITION_MOST)
        .map_err(|source| CatalogError::io("read", path, source))?;
    let shown = path.display().to_string();
    let sections = scan(&bytes, &shown)?;
    Ok(sections.iter().map(|section| source(section, path, &shown)).collect())
}

fn source(section: &Section, path: &Path, shown: &str) -> Result<Source, CatalogError> {
    let wrong = |what: String| CatalogError::syntax(shown, section.line, what);
    let name = section.name.clone();
    let uri = section.get("uri").ok_or_else(|| wrong(format!("`[{name}]` has no `uri`")))?;
    let address = |text: &str| {
        let fail = |source| CatalogError::Address { catalog: name.clone(), source };
        Address::parse(text).map_err(fail)
    };
    let word = section.get("format").filter(|word| !word.is_empty()).unwrap_or("native");
    let kind = KINDS.iter().find(|kind| kind.word() == Some(word));
    let kind = kind.ok_or_else(|| wrong(format!("`format` is not `{}`", word.escape_debug())))?;
    let proxy = match section.get("proxy") {
        None | Some("system") => ProxyRule::System,
        Some("no" | "off") => ProxyRule::Off,
        Some(other) => ProxyRule::Forced(address(other)?),
    };
    Ok(Source {
        uri: Some(address(uri)?),
        kind: *kind,
        trust: trust(section).map_err(wrong)?,
        proxy,
        file: Some(path.to_owned()),
        name,
    })
}

fn trust(section: &Section) -> Result<Trust, String> {
    let fingerprint = section.get("fingerprint").map(Fingerprint::parse).transpose();
    let fingerprint = fingerprint.map_err(|error| error.to_string())?;
    let keys = section.get("gpgkey").map(|key| {
        let path = key.strip_prefix("file://").unwrap_or(key);
        // virt-builder takes other addresses for no key at all, and checks nothing.
        let local = path.starts_with('/').then(|| Keys::File(path.into()));
        local.ok_or_else(|| format!("`gpgkey` is no file of this host: `{}`", key.escape_debug()))
    });
    let keys = keys.transpose()?;
    match (section.get("trust"), keys, fingerprint) {
        (Some("unsigned"), None, None) => Ok(Trust::Unsigned),
        (Some("unsigned"), ..) => Err("it is `trust=unsigned` and names a key".into()),
        (Some(other), ..) if other != "signed" => {
            Err(format!("`trust` is `signed` or `unsigned`, not `{}`", other.escape_debug()))
        }
        (_, Some(keys), fingerprint) => Ok(Trust::Signed(Signers { keys, fingerprint })),
        (_, None, Some(key)) => {
            Ok(Trust::Signed(Signers { keys: Keys::Keyring, fingerprint: Some(key) }))
        }
        (_, None, None) => Ok(Trust::Unknown),
    }
}

/// Returns the text of a definition.
fn definition(source: &Source) -> String {
    let mut out = format!("[{}]\n", source.name);
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        writeln!(out, "{key}={value}").ok();
    };
    if let Some(uri) = &source.uri {
        let scheme = if uri.path().is_some() { "file://" } else { "" };
        line("uri", &format!("{scheme}{}", uri.secret()));
    }
    match &source.trust {
        Trust::Signed(signers) => {
            if let Keys::File(path) = &signers.keys {
                line("gpgkey", &format!("file://{}", path.display()));
            }
            if let Some(key) = &signers.fingerprint {
                line("fingerprint", key.as_str());
            }
        }
        Trust::Unsigned => line("trust", "unsigned"),
        Trust::BuiltIn | Trust::Unknown => {}
    }
    match &source.proxy {
        ProxyRule::System => {}
        ProxyRule::Off => line("proxy", "off"),
        ProxyRule::Forced(url) => line("proxy", url.secret()),
    }
    line("format", source.kind.word().unwrap_or("native"));
    out
}

/// Checks a name that the user gives a catalog: it becomes a file's name and a section's.
fn check_name(name: &str) -> Result<(), CatalogError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let why = if name.is_empty() || name.len() > 64 {
        "it has 1 to 64 characters"
    } else if !name.chars().all(good) || name.starts_with(['.', '-']) {
        "it has letters, digits, `-`, `.` and `_`, and begins with a letter or a digit"
    } else {
        return Ok(());
    };
    Err(CatalogError::Name { name: name.escape_debug().to_string(), what: "a catalog", why })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn put(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn definitions_are_read_as_virt_builder_does_and_trust_is_never_silent() {
        let top = tempfile::tempdir().unwrap();
        let (ours, a, b) = (top.path().join("ours"), top.path().join("a"), top.path().join("b"));
        put(&ours, "mine.conf", "[mine]\nuri=http://h/index\ntrust=unsigned\n");
        put(&a, "one.conf", "[one]\nuri=https://h/index.asc\ngpgkey=file:///k.gpg\nproxy=off\n");
        put(&a, "two.conf", "[two]\nuri=https://h/index.asc\n[mine]\nuri=https://other/\n");
        put(&b, "one.conf", "[hidden]\nuri=https://h/\n");
        put(&b, "bad.conf", "[x]\nuri=https://h/\ngpgkey=https://h/key\n[y]\nuri=ftp://u:p@h/\n");
        put(&b, "worse.conf", "nonsense\n");
        put(
            &b,
            "z.conf",
            &format!(
                "[z]\nuri=/srv/r/index\nfingerprint={KEY}\nformat=simplestreams\nproxy=http://u:pw@p:1\n"
            ),
        );
        let all = Sources::read(&ours, &[a.clone(), b]);
        let shown: Vec<_> = all
            .list
            .iter()
            .map(|s| format!("{} {} {:?}", s.name, s.trust.words(), s.proxy))
            .collect();
        assert_eq!(
            shown,
            [
                "mine UNSIGNED: anybody who can change it is believed System".to_owned(),
                "one signed by a key in /k.gpg Off".into(),
                "two not read: nothing says who may sign it System".into(),
                format!("z signed by {KEY} Forced(Address(http://***@p:1))"),
                "distributions comes with kiln System".into(),
            ]
        );
        let problems: Vec<_> = all.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].ends_with("line 1: `gpgkey` is no file of this host: `https://h/key`"));
        assert_eq!(problems[1], "the address of the catalog `y` is wrong");
        assert!(problems[2].ends_with("line 1: it is no `key=value`"));
    }

    #[test]
    fn a_definition_is_written_read_and_removed() {
        let top = tempfile::tempdir().unwrap();
        let ours = top.path().join("ours");
        let others = [top.path().join("others")];
        put(&others[0], "o.conf", "[o]\nuri=https://h/\n");
        let signers = Signers {
            keys: Keys::File("/k.gpg".into()),
            fingerprint: Fingerprint::parse(KEY).ok(),
        };
        let source = Source {
            name: "mine".into(),
            uri: Some(Address::parse("/srv/r/index.asc").unwrap()),
            kind: KINDS[0],
            trust: Trust::Signed(signers),
            proxy: ProxyRule::Off,
            file: None,
        };
        let path = Sources::read(&ours, &others).add(&source).unwrap();
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let all = Sources::read(&ours, &others);
        let read = all.find("mine").unwrap();
        assert_eq!(
            (&read.trust, &read.uri, &read.proxy),
            (&source.trust, &source.uri, &source.proxy)
        );
        assert!(matches!(all.add(&source), Err(CatalogError::Exists { .. })));
        let bad = Source { name: "../x".into(), ..source };
        assert!(matches!(all.add(&bad), Err(CatalogError::Name { .. })));
        assert!(matches!(all.remove("o"), Err(CatalogError::NotOurs { .. })));
        assert!(matches!(all.remove("distributions"), Err(CatalogError::NotOurs { .. })));
        assert!(matches!(all.remove("mime"), Err(CatalogError::NoCatalog { near: Some(_), .. })));
        all.remove("mine").unwrap();
        assert!(Sources::read(&ours, &others).find("mine").is_err());
    }
}
