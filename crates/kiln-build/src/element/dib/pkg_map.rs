// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `pkg-map`: what a distribution calls an element's packages.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::find::Element;
use crate::element::ElementError;

/// The file.
pub const FILE: &str = "pkg-map";

type Names = BTreeMap<String, Option<String>>;

/// An element's names of packages; the most particular one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PkgMap {
    default: Names,
    family: BTreeMap<String, Option<Names>>,
    distro: BTreeMap<String, Option<Names>>,
    release: BTreeMap<String, BTreeMap<String, Names>>,
}

/// What becomes of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It has this name, or these names, separated by spaces.
    Named(String),
    /// The distribution needs none.
    Nothing,
    /// The map does not know it: its own name is used.
    Unknown,
}

/// Returns the family of a distribution.
#[must_use]
pub fn family(distro: &str) -> Option<&'static str> {
    match distro {
        "almalinux" | "fedora" | "rhel" | "centos" | "openeuler" | "rocky" => Some("redhat"),
        "debian" | "ubuntu" => Some("debian"),
        "opensuse" => Some("suse"),
        "gentoo" => Some("gentoo"),
        _ => None,
    }
}

impl PkgMap {
    /// Reads an element's map; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`ElementError::Json`], and what reading says.
    pub fn of(element: &Element) -> Result<Option<Self>, ElementError> {
        let Some(text) = element.read(FILE)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|source| ElementError::Json {
            element: element.name.clone(),
            file: FILE.to_owned(),
            source,
        })
    }

    /// Returns what `package` is called in a release of a distribution.
    #[must_use]
    pub fn map(&self, package: &str, distro: &str, release: &str) -> Mapped {
        let release = if release == "8-stream" { "8" } else { release };
        let of_family = family(distro).and_then(|family| self.family.get(family)?.as_ref());
        let of_distro = self.distro.get(distro).and_then(Option::as_ref);
        let of_release = self.release.get(distro).and_then(|releases| releases.get(release));
        let found = [of_release, of_distro, of_family, Some(&self.default)]
            .into_iter()
            .flatten()
            .find_map(|names| names.get(package));
        match found {
            None => Mapped::Unknown,
            Some(Some(name)) if !name.is_empty() => Mapped::Named(name.clone()),
            Some(_) => Mapped::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"{
        "release": {"fedora": {"40": {"a": "a40"}}, "centos": {"8": {"a": "a8"}}},
        "distro": {"fedora": {"a": "afedora", "b": "b1 b2"}, "ubuntu": null},
        "family": {"redhat": {"a": "ared", "b": "bred", "c": ""}, "suse": {"c": null}},
        "default": {"a": "a0", "d": "d0"}
    }"#;

    #[test]
    fn the_most_particular_name_counts() {
        let map: PkgMap = serde_json::from_str(MAP).unwrap();
        let named = |name: &str| Mapped::Named(name.to_owned());
        assert_eq!(map.map("a", "fedora", "40"), named("a40"));
        assert_eq!(map.map("a", "fedora", "41"), named("afedora"));
        assert_eq!(map.map("a", "centos", "8-stream"), named("a8"));
        assert_eq!(map.map("a", "rocky", "9"), named("ared"));
        assert_eq!(map.map("a", "debian", "stable"), named("a0"));
        assert_eq!(map.map("b", "fedora", "40"), named("b1 b2"));
        assert_eq!(map.map("c", "fedora", "40"), Mapped::Nothing);
        assert_eq!(map.map("c", "opensuse", "15"), Mapped::Nothing);
        assert_eq!(map.map("c", "ubuntu", "noble"), Mapped::Unknown);
        assert_eq!(map.map("e", "plan9", "4"), Mapped::Unknown);
    }
}
