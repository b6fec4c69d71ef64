// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `svc-map`: what a distribution calls an element's services.

use std::collections::BTreeMap;

use super::find::Element;
use crate::element::ElementError;

/// The file.
pub const FILE: &str = "svc-map";

/// Services by the names that elements use, with those of one distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services(BTreeMap<String, String>);

/// Returns the family of a distribution; `svc-map` knows fewer than `pkg-map` does.
#[must_use]
pub fn family(distro: &str) -> Option<&'static str> {
    match distro {
        "centos" | "fedora" | "rhel" => Some("redhat"),
        "debian" | "ubuntu" => Some("debian"),
        "opensuse" => Some("suse"),
        _ => None,
    }
}

impl Services {
    /// Merges the maps of elements for one distribution.
    ///
    /// # Errors
    ///
    /// [`ElementError::Yaml`]; [`ElementError::TwoHooks`] if two elements map one service.
    pub fn of<'a>(
        elements: impl IntoIterator<Item = &'a Element>,
        distro: &str,
    ) -> Result<Self, ElementError> {
        let mut services = Self::default();
        let mut from: BTreeMap<String, &str> = BTreeMap::new();
        for element in elements {
            let Some(text) = element.read(FILE)? else { continue };
            let maps: BTreeMap<String, BTreeMap<String, String>> =
                kiln_spec::yaml::from_str(&text, FILE).map_err(|source| ElementError::Yaml {
                    element: element.name.clone(),
                    file: FILE.to_owned(),
                    source: Box::new(source),
                })?;
            for (service, names) in maps {
                if let Some(first) = from.insert(service.clone(), &element.name) {
                    return Err(ElementError::TwoHooks {
                        file: format!("{FILE}: {service}"),
                        first: first.to_owned(),
                        second: element.name.clone(),
                    });
                }
                let name = names
                    .get(distro)
                    .or_else(|| names.get(family(distro)?))
                    .or_else(|| names.get("default"))
                    .unwrap_or(&service);
                services.0.insert(service.clone(), name.clone());
            }
        }
        Ok(services)
    }

    /// Returns what the distribution calls a service.
    #[must_use]
    pub fn map<'a>(&'a self, service: &'a str) -> &'a str {
        self.0.get(service).map_or(service, String::as_str)
    }

    /// Returns all services, by the names that elements use.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(service, name)| (service.as_str(), name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::element::dib::Shelf;

    fn shelf(files: &[&str]) -> (tempfile::TempDir, Shelf) {
        let home = tempfile::tempdir().unwrap();
        for (number, text) in files.iter().enumerate() {
            let path = home.path().join(format!("e{number}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join(FILE), text).unwrap();
        }
        let shelf = Shelf::open(&[home.path().into()]).unwrap();
        (home, shelf)
    }

    #[test]
    fn distribution_then_family_then_default_then_the_name_itself() {
        let text = "db: {fedora: mariadb, redhat: mysqld, default: mysql}\nweb: {suse: apache2}\n";
        let (_home, shelf) = shelf(&[text]);
        let of = |distro| {
            let services = Services::of(shelf.iter(), distro).unwrap();
            format!("{} {} {}", services.map("db"), services.map("web"), services.map("x"))
        };
        assert_eq!(of("fedora"), "mariadb web x");
        assert_eq!(of("rhel"), "mysqld web x");
        assert_eq!(of("opensuse"), "mysql apache2 x");
    }

    #[test]
    fn one_service_in_two_elements_is_refused() {
        let (_home, shelf) = shelf(&["db: {default: a}\n", "db: {default: b}\n"]);
        let error = Services::of(shelf.iter(), "debian").unwrap_err();
        assert_eq!(error.to_string(), "the elements `e0` and `e1` both have `svc-map: db`");
    }
}
