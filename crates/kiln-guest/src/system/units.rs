// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Units of systemd: the links that `systemctl --root enable` makes, made in the tree.
//!
//! Source: systemctl(1), systemd.unit(5) "[Install] Section Options" and "Unit File Load Path".

use std::collections::BTreeSet;

use crate::tree::{Attrs, GuestPath, Kind, New, Time, Tree, TreeError, make_dirs};

/// Where the administrator's units and the links are.
const ADMIN: &str = "/etc/systemd/system";
/// Where units are, the first that has one wins.
const FOLDERS: [&str; 4] =
    [ADMIN, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// The most that is read of a unit.
const UNIT_MOST: u64 = 1 << 20;
/// The most units that one may bring along with `Also=`.
const ALSO_MOST: usize = 64;
/// Endings of units' names.
const KINDS: [&str; 11] = [
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// Why a unit could not be enabled, disabled or masked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// There is no such unit.
    #[error("the guest has no unit `{unit}`")]
    Missing {
        /// Its name.
        unit: String,
    },
    /// It is masked.
    #[error("the unit `{unit}` is masked")]
    Masked {
        /// Its name.
        unit: String,
    },
    /// A template without an instance.
    #[error("`{unit}` is a template: say of which instance, as in `{}`", example(unit))]
    Template {
        /// Its name.
        unit: String,
    },
    /// The administrator's own file has the name that the mask needs.
    #[error("`{path}` is a unit of its own, not a link: a mask would destroy it")]
    Own {
        /// The file.
        path: GuestPath,
    },
    /// The unit asks for something that is not understood here.
    #[error("the unit `{unit}` has `{value}` in its [Install] section, which kiln does not know")]
    Specifier {
        /// Its name.
        unit: String,
        /// The value.
        value: String,
    },
    /// Too many units hang on it.
    #[error("more than {ALSO_MOST} units are to be enabled with `{unit}`")]
    TooMany {
        /// Its name.
        unit: String,
    },
    /// The tree failed.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

fn example(unit: &str) -> String {
    unit.replacen('@', "@name", 1)
}

/// Returns the full name of a unit: `nginx` is `nginx.service`. `None` if it is no name.
#[must_use]
pub fn full_name(text: &str) -> Option<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let name = if KINDS.iter().any(|kind| text.ends_with(kind)) {
        text.to_owned()
    } else {
        format!("{text}.service")
    };
    let stem = name.rsplit_once('.')?.0;
    (!stem.is_empty() && !stem.starts_with('@') && name.len() < 256 && name.bytes().all(good))
        .then_some(name)
}

/// What the [Install] section of a unit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Install {
    alias: Vec<String>,
    /// The folder's ending, and the unit that wants this one.
    wanted: Vec<(&'static str, String)>,
    also: Vec<String>,
    default_instance: Option<String>,
}

impl Install {
    fn parse(text: &str) -> Self {
        let mut install = Self::default();
        let mut inside = false;
        // A `\` at the end joins two lines.
        for line in text.replace("\\\n", " ").lines() {
            let line = line.trim();
            if line.starts_with('[') {
                inside = line == "[Install]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let words = value.split_whitespace().map(str::to_owned);
            let folder = match key.trim() {
                "WantedBy" => ".wants",
                "RequiredBy" => ".requires",
                "UpheldBy" => ".upholds",
                "Alias" => {
                    install.alias.extend(words);
                    continue;
                }
                "Also" => {
                    install.also.extend(words);
                    continue;
                }
                "DefaultInstance" => {
                    install.default_instance = Some(value.trim().to_owned());
                    continue;
                }
                _ => continue,
            };
            install.wanted.extend(words.map(|word| (folder, word)));
        }
        install
    }

    fn is_empty(&self) -> bool {
        self.alias.is_empty() && self.wanted.is_empty() && self.also.is_empty()
    }
}

/// A unit that was found.
struct Found {
    /// Its name: of the unit itself, where an alias was asked for.
    name: String,
    file: GuestPath,
    install: Install,
}

/// The template of an instance: `getty@tty1.service` has `getty@.service`.
fn template(unit: &str) -> Option<String> {
    let (stem, kind) = unit.rsplit_once('.')?;
    let (prefix, instance) = stem.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{kind}"))
}

fn find(tree: &mut dyn Tree, unit: &str) -> Result<Found, UnitError> {
    let mut name = unit.to_owned();
    for _ in 0..8 {
        let candidates = [Some(name.clone()), template(&name)];
        let places = candidates.iter().flatten();
        let places = places.flat_map(|n| FOLDERS.iter().map(move |f| (n, f)));
        let mut next = None;
        for (file_name, folder) in places {
            let file = GuestPath::new(format!("{folder}/{file_name}"))?;
            match tree.lstat(&file)?.map(|stat| stat.kind) {
                Some(Kind::Symlink) => {
                    let target = tree.read_link(&file)?;
                    if target == b"/dev/null" {
                        return Err(UnitError::Masked { unit: unit.to_owned() });
                    }
                    let last = target.rsplit(|&b| b == b'/').next().unwrap_or_default();
                    next = std::str::from_utf8(last).ok().map(str::to_owned);
                    if next.as_deref() == Some(file_name) {
                        // A unit that lies elsewhere and was linked in.
                        return read(tree, name, file);
                    }
                    break;
                }
                Some(Kind::File) => return read(tree, name, file),
                _ => {}
            }
        }
        match next.and_then(|n| full_name(&n)) {
            Some(next) => name = next,
            None => break,
        }
    }
    Err(UnitError::Missing { unit: unit.to_owned() })
}

fn read(tree: &mut dyn Tree, name: String, file: GuestPath) -> Result<Found, UnitError> {
    let bytes = match tree.read(&file, UNIT_MOST) {
        Err(TreeError::NotFound { .. }) => return Err(UnitError::Missing { unit: name }),
        other => other?,
    };
    let install = Install::parse(&String::from_utf8_lossy(&bytes));
    Ok(Found { name, file, install })
}

/// Puts values into the specifiers of a word of [Install].
fn expand(unit: &str, word: &str) -> Result<String, UnitError> {
    let wrong = || UnitError::Specifier { unit: unit.to_owned(), value: word.to_owned() };
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let mut out = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('n') => out.push_str(unit),
                Some('N') => out.push_str(stem),
                Some('p') => out.push_str(prefix),
                Some('i') => out.push_str(instance),
                Some('j') => out.push_str(prefix.rsplit('-').next().unwrap_or(prefix)),
                Some('%') => out.push('%'),
                _ => return Err(wrong()),
            },
            '/' => return Err(wrong()),
            c => out.push(c),
        }
    }
    if full_name(&out).as_deref() == Some(out.as_str()) { Ok(out) } else { Err(wrong()) }
}

/// Enables a unit, and those that it brings along. Returns whether it can be enabled at all: one
/// without an [Install] section is started by others.
///
/// # Effects
///
/// Makes links below `/etc/systemd/system`; one that is there and leads elsewhere is replaced.
///
/// # Errors
///
/// See [`UnitError`].
pub fn enable(tree: &mut dyn Tree, unit: &str, now: Time) -> Result<bool, UnitError> {
    let mut open = vec![unit.to_owned()];
    let mut done = BTreeSet::new();
    let mut possible = false;
    while let Some(name) = open.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        if done.len() > ALSO_MOST {
            return Err(UnitError::TooMany { unit: unit.to_owned() });
        }
        let found = match find(tree, &name) {
            // What a unit only brings along may be missing.
            Err(UnitError::Missing { .. }) if done.len() > 1 => continue,
            other => other?,
        };
        if done.len() == 1 {
            possible = !found.install.is_empty();
        }
        let name = instance(&found)?;
        for link in links(&name, &found)? {
            place_link(tree, &link, &found.file, now)?;
        }
        for also in &found.install.also {
            open.push(expand(&name, also)?);
        }
    }
    Ok(possible)
}

/// Returns the name that is enabled: of a template, its default instance.
fn instance(found: &Found) -> Result<String, UnitError> {
    let Some((prefix, kind)) = found.name.split_once("@.") else { return Ok(found.name.clone()) };
    match &found.install.default_instance {
        Some(default) => Ok(format!("{prefix}@{}.{kind}", expand_instance(default))),
        None => Err(UnitError::Template { unit: found.name.clone() }),
    }
}

fn expand_instance(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '/' | '%')).collect()
}

/// Returns the links that make a unit enabled.
fn links(name: &str, found: &Found) -> Result<Vec<GuestPath>, UnitError> {
    let mut links = Vec::new();
    for alias in &found.install.alias {
        let alias = expand(name, alias)?;
        if alias != name {
            links.push(GuestPath::new(format!("{ADMIN}/{alias}"))?);
        }
    }
    for (folder, by) in &found.install.wanted {
        let by = expand(name, by)?;
        links.push(GuestPath::new(format!("{ADMIN}/{by}{folder}/{name}"))?);
    }
    Ok(links)
}

fn place_link(
    tree: &mut dyn Tree,
    link: &GuestPath,
    target: &GuestPath,
    now: Time,
) -> Result<(), UnitError> {
    let target = target.as_bytes();
    match tree.lstat(link)?.map(|stat| stat.kind) {
        Some(Kind::Symlink) if tree.read_link(link)? == target => return Ok(()),
        Some(Kind::Symlink) => tree.unlink(link)?,
        Some(_) => return Err(UnitError::Own { path: link.clone() }),
        None => {}
    }
    let attrs = Attrs { mode: 0o755, uid: 0, gid: 0, mtime: now };
    if let Some(folder) = link.parent() {
        make_dirs(tree, &folder, &attrs)?;
    }
    let attrs = Attrs { mode: 0o777, ..attrs };
    Ok(tree.make(link, &New::Symlink(target.to_vec()), &attrs)?)
}

/// Disables a unit: removes the links below `/etc/systemd/system` that lead to it, and to those
/// that it brings along. Returns whether there were any.
///
/// # Errors
///
/// See [`UnitError`].
pub fn disable(tree: &mut dyn Tree, unit: &str) -> Result<bool, UnitError> {
    let mut names = BTreeSet::from([unit.to_owned()]);
    if let Ok(found) = find(tree, unit) {
        for also in found.install.also.iter().take(ALSO_MOST) {
            names.insert(expand(&found.name, also)?);
        }
        names.insert(found.name);
    } else if find_masked_or_linked(tree, unit)? {
        // Masked: its links may go all the same.
    } else {
        return Err(UnitError::Missing { unit: unit.to_owned() });
    }
    let mut removed = false;
    let admin = GuestPath::from(ADMIN);
    if tree.stat(&admin)?.is_none() {
        return Ok(false);
    }
    let mut folders = vec![admin.clone()];
    for entry in tree.list(&admin)? {
        let ends = [&b".wants"[..], b".requires", b".upholds"];
        if entry.kind == Kind::Directory && ends.iter().any(|end| entry.name.ends_with(end)) {
            folders.push(admin.join(&entry.name));
        }
    }
    for folder in folders {
        for entry in tree.list(&folder)? {
            let path = folder.join(&entry.name);
            if entry.kind != Kind::Symlink {
                continue;
            }
            let target = tree.read_link(&path)?;
            if target != b"/dev/null" && leads_to(&entry.name, &target, &names) {
                tree.unlink(&path)?;
                removed = true;
            }
        }
    }
    Ok(removed)
}

fn find_masked_or_linked(tree: &mut dyn Tree, unit: &str) -> Result<bool, UnitError> {
    Ok(tree.lstat(&GuestPath::from(ADMIN).join(unit))?.is_some())
}

/// Returns whether a link of this name and target is one of the units `names`.
fn leads_to(name: &[u8], target: &[u8], names: &BTreeSet<String>) -> bool {
    let last = target.rsplit(|&b| b == b'/').next().unwrap_or_default();
    names.iter().any(|unit| {
        let of_template = unit.contains("@.")
            && std::str::from_utf8(name).ok().and_then(template).as_deref() == Some(unit);
        name == unit.as_bytes() || last == unit.as_bytes() || of_template
    })
}

/// Masks a unit: nothing can start it. Returns whether there is such a unit.
///
/// # Errors
///
/// See [`UnitError`].
pub fn mask(tree: &mut dyn Tree, unit: &str, now: Time) -> Result<bool, UnitError> {
    let known = match find(tree, unit) {
        Ok(_) => true,
        Err(UnitError::Masked { .. }) => return Ok(true),
        Err(UnitError::Missing { .. }) => false,
        Err(error) => return Err(error),
    };
    place_link(tree, &GuestPath::from(ADMIN).join(unit), &"/dev/null".into(), now)?;
    Ok(known)
}

/// Takes a mask away again. Returns whether there was one.
///
/// # Errors
///
/// See [`UnitError`].
pub fn unmask(tree: &mut dyn Tree, unit: &str) -> Result<bool, UnitError> {
    let link = GuestPath::from(ADMIN).join(unit);
    if tree.lstat(&link)?.is_some_and(|stat| stat.kind == Kind::Symlink)
        && tree.read_link(&link)? == b"/dev/null"
    {
        tree.unlink(&link)?;
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_units_are_made_whole() {
        assert_eq!(full_name("nginx").as_deref(), Some("nginx.service"));
        assert_eq!(full_name("a.timer").as_deref(), Some("a.timer"));
        assert_eq!(full_name("getty@tty1").as_deref(), Some("getty@tty1.service"));
        for bad in ["", "../x", "a b", ".service", "@x", "a/b.service"] {
            assert_eq!(full_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_section_is_read_as_systemd_does() {
        let text = "[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=a.target \\\n b.target\n\
                    RequiredBy=c.target\nAlias=x.service\nAlso=y.socket\n# Alias=z\n";
        let install = Install::parse(text);
        assert_eq!(
            install.wanted,
            [
                (".wants", "a.target".to_owned()),
                (".wants", "b.target".to_owned()),
                (".requires", "c.target".to_owned())
            ]
        );
        assert_eq!((install.alias.len(), install.also.len()), (1, 1));
    }

    #[test]
    fn specifiers_that_are_known_are_replaced() {
        assert_eq!(expand("a-b@c.service", "%p-%i.target").unwrap(), "a-b-c.target");
        assert_eq!(expand("a-b@c.service", "%j.target").unwrap(), "b.target");
        assert!(matches!(expand("a.service", "%H.target"), Err(UnitError::Specifier { .. })));
        assert!(matches!(expand("a.service", "../x.target"), Err(UnitError::Specifier { .. })));
    }
}
