// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `package-installs.yaml`: which packages an element wants in which phase, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::find::Element;
use crate::element::ElementError;

/// The files, in the order in which they are read.
pub const FILES: [&str; 2] = ["package-installs.json", "package-installs.yaml"];
/// The phase of a package that names none.
const DEFAULT_PHASE: &str = "install.d";
/// How an element is installed if nothing says otherwise.
const DEFAULT_INSTALLTYPE: &str = "source";

/// A package that an element wants, or wants to be gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The package, before `pkg-map`.
    pub package: String,
    /// The element.
    pub element: String,
}

/// What is done to packages in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// What is installed.
    pub install: Vec<Wanted>,
    /// What is removed at the end of the phase.
    pub uninstall: Vec<Wanted>,
}

/// The packages of all elements, by phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages(BTreeMap<String, Lists>);

/// The variables that conditions are about.
pub type Variables = BTreeMap<String, String>;

/// One condition under which a package is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    phase: Option<String>,
    // That they are there is what counts: `uninstall: False` uninstalls.
    uninstall: Option<IgnoredAny>,
    build_only: Option<IgnoredAny>,
    installtype: Option<String>,
    arch: Option<String>,
    not_arch: Option<String>,
    #[serde(rename = "dib_python_version")]
    python: Option<Scalar>,
    when: Option<OneOrMany>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected nothing, keys with values, or a list of these")]
enum Entries {
    One(Option<Box<Entry>>),
    Many(Vec<Option<Entry>>),
    // `package: ""` is how many elements write nothing.
    Text(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected `VARIABLE = value`, or a list of such")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number or text")]
enum Scalar {
    Number(i64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Keys with values, in the order of the file.
struct Ordered<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Keys<V> {
            type Value = Ordered<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("packages, each a key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    found.push(pair);
                }
                Ok(Ordered(found))
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

impl Packages {
    /// Returns what is done in a phase, by its folder: `install.d`.
    #[must_use]
    pub fn phase(&self, folder: &str) -> Option<&Lists> {
        self.0.get(folder)
    }

    /// Returns all phases in which something is done, by name.
    pub fn phases(&self) -> impl Iterator<Item = (&str, &Lists)> {
        let something = |lists: &&Lists| !lists.install.is_empty() || !lists.uninstall.is_empty();
        self.0
            .iter()
            .filter(move |(_, lists)| something(lists))
            .map(|(phase, lists)| (phase.as_str(), lists))
    }

    /// Gathers the packages that elements want. `variables` is the environment after
    /// `environment.d`, with `ARCH`.
    ///
    /// # Errors
    ///
    /// [`ElementError::Yaml`], and [`ElementError::Content`] for a condition that is none, or is
    /// about a variable that is not set.
    pub fn of<'a>(
        elements: impl IntoIterator<Item = &'a Element>,
        variables: &Variables,
    ) -> Result<Self, ElementError> {
        let mut packages = Self::default();
        for element in elements {
            for file in FILES {
                let Some(text) = element.read(file)? else { continue };
                // JSON is YAML, too.
                let Ordered(wanted) = read(element, file, &text)?;
                for (package, entries) in wanted {
                    let asked = Asked { element, file, package: &package, variables };
                    for entry in entries.into_list().map_err(|why| asked.wrong(why))? {
                        packages.add(&asked, &entry)?;
                    }
                }
            }
        }
        Ok(packages)
    }

    fn add(&mut self, asked: &Asked<'_>, entry: &Entry) -> Result<(), ElementError> {
        let phase = entry.phase.as_deref().unwrap_or(DEFAULT_PHASE);
        let lists = self.0.entry(phase.to_owned()).or_default();
        let has = |list: &[Wanted]| list.iter().any(|known| known.package == asked.package);
        let (mut install, mut uninstall) = (true, false);
        if entry.uninstall.is_some() || entry.build_only.is_some() {
            let build_only = entry.build_only.is_some();
            if has(&lists.install) && !has(&lists.uninstall) {
                // Somebody wants it to stay.
                if !build_only {
                    return Ok(());
                }
            } else {
                install = build_only;
                uninstall = true;
            }
        } else {
            lists.uninstall.retain(|known| known.package != asked.package);
        }
        if !asked.applies(entry)? {
            return Ok(());
        }
        let wanted =
            Wanted { package: asked.package.to_owned(), element: asked.element.name.clone() };
        if install {
            lists.install.push(wanted.clone());
        }
        if uninstall {
            lists.uninstall.push(wanted);
        }
        Ok(())
    }
}

/// Reads a file without keys, too.
fn read(element: &Element, file: &str, text: &str) -> Result<Ordered<Entries>, ElementError> {
    let has_text = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    if !text.lines().any(has_text) {
        return Ok(Ordered(Vec::new()));
    }
    kiln_spec::yaml::from_str(text, file).map_err(|source| ElementError::Yaml {
        element: element.name.clone(),
        file: file.to_owned(),
        source: Box::new(source),
    })
}

impl Entries {
    fn into_list(self) -> Result<Vec<Entry>, &'static str> {
        let list: Vec<_> = match self {
            Self::One(entry) => vec![entry.map(|entry| *entry).unwrap_or_default()],
            Self::Many(list) => list.into_iter().map(Option::unwrap_or_default).collect(),
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(_) => return Err("it has text where keys with values are expected"),
        };
        Ok(if list.is_empty() { vec![Entry::default()] } else { list })
    }
}

/// What an entry is about.
struct Asked<'a> {
    element: &'a Element,
    file: &'a str,
    package: &'a str,
    variables: &'a Variables,
}

impl Asked<'_> {
    fn wrong(&self, why: impl fmt::Display) -> ElementError {
        self.element.content(self.file, format!("`{}`: {why}", self.package))
    }

    fn variable(&self, name: &str) -> Result<&str, ElementError> {
        let value = self.variables.get(name).map(String::as_str);
        value.ok_or_else(|| self.wrong(format_args!("the variable `{name}` is not set")))
    }

    /// Whether all conditions hold. A later one is not looked at if an earlier one does not.
    fn applies(&self, entry: &Entry) -> Result<bool, ElementError> {
        if let Some(wanted) = &entry.installtype
            && wanted != self.installtype()
        {
            return Ok(false);
        }
        let listed = |list: &str| -> Result<bool, ElementError> {
            let arch = self.variable("ARCH")?;
            // Spaces count: diskimage-builder does not strip them.
            Ok(list.split(',').any(|name| name == arch))
        };
        match (entry.arch.as_deref(), entry.not_arch.as_deref()) {
            (Some(_), Some(_)) => {
                return Err(self.wrong("`arch` and `not-arch` exclude each other"));
            }
            (Some(list), None) if !list.is_empty() && !listed(list)? => return Ok(false),
            (None, Some(list)) if listed(list)? => return Ok(false),
            _ => {}
        }
        let python = self.variables.get("DIB_PYTHON_VERSION").map_or("", String::as_str);
        let wanted = entry.python.as_ref().map(Scalar::to_string).unwrap_or_default();
        if !wanted.is_empty() && wanted != python {
            return Ok(false);
        }
        let statements = match &entry.when {
            None => &[][..],
            Some(OneOrMany::One(statement)) => std::slice::from_ref(statement),
            Some(OneOrMany::Many(statements)) => statements,
        };
        let mut all = true;
        for statement in statements {
            all &= self.holds(statement)?;
        }
        Ok(all)
    }

    fn installtype(&self) -> &str {
        let own = format!("DIB_INSTALLTYPE_{}", self.element.name.replace('-', "_"));
        let get = |name: &str| self.variables.get(name).map(String::as_str);
        get(&own).or_else(|| get("DIB_DEFAULT_INSTALLTYPE")).unwrap_or(DEFAULT_INSTALLTYPE)
    }

    /// Whether `VARIABLE = value` or `VARIABLE != value` holds.
    fn holds(&self, statement: &str) -> Result<bool, ElementError> {
        let malformed = || {
            let shown = statement.escape_debug();
            self.wrong(format_args!("`{shown}` is no condition like `VARIABLE = value`"))
        };
        let end = statement.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let (name, rest) = statement.split_at(end.filter(|&end| end > 0).ok_or_else(malformed)?);
        let rest = rest.trim_start();
        let (equal, value) = match (rest.strip_prefix('='), rest.strip_prefix("!=")) {
            (Some(value), _) => (true, value),
            (None, Some(value)) => (false, value),
            (None, None) => return Err(malformed()),
        };
        let value = value.trim_start().lines().next().unwrap_or_default();
        Ok((self.variable(name)? == value) == equal)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::element::dib::Shelf;

    /// What becomes of elements' files, under variables: `phase: +installed -removed`.
    fn packages(files: &[&str], variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let home = tempfile::tempdir().unwrap();
        for (number, text) in files.iter().enumerate() {
            let path = home.path().join(format!("e{number}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join(FILES[1]), text).unwrap();
        }
        let shelf = Shelf::open(&[home.path().into()]).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let packages = Packages::of(shelf.iter(), &variables).map_err(|error| error.to_string())?;
        let show = |(phase, lists): (&str, &Lists)| {
            let mut text = format!("{phase}:");
            lists.install.iter().for_each(|w| text += &format!(" +{}", w.package));
            lists.uninstall.iter().for_each(|w| text += &format!(" -{}", w.package));
            text
        };
        Ok(packages.phases().map(show).collect())
    }

    #[test]
    fn plain_packages_are_installed_in_their_phase() {
        let text = "# x\na:\nb: ''\nc: {phase: pre-install.d}\nd: [{}, {phase: post-install.d}]\n";
        let found = packages(&[text], &[]).unwrap();
        assert_eq!(found, ["install.d: +a +b +d", "post-install.d: +d", "pre-install.d: +c"]);
        assert_eq!(packages(&["# nothing\n", ""], &[]).unwrap(), [""; 0]);
    }

    #[test]
    fn processors_and_kinds_of_installation_choose() {
        let text = "a: {arch: 'amd64,arm64'}\nb: {not-arch: amd64}\nc: {installtype: package}\n\
                    d: {installtype: source}\ne: {dib_python_version: 2}\n";
        let amd64 = [("ARCH", "amd64")];
        assert_eq!(packages(&[text], &amd64).unwrap(), ["install.d: +a +d"]);
        let more =
            [("ARCH", "s390x"), ("DIB_INSTALLTYPE_e0", "package"), ("DIB_PYTHON_VERSION", "2")];
        assert_eq!(packages(&[text], &more).unwrap(), ["install.d: +b +c +e"]);
    }

    #[test]
    fn conditions_are_about_variables() {
        let text = "a: {when: X = 1}\nb: {when: X!=1}\nc: {when: [X=1, Y != no]}\n";
        assert_eq!(packages(&[text], &[("X", "1"), ("Y", "")]).unwrap(), ["install.d: +a +c"]);
        let error = packages(&["a: {when: Z = 1}\n"], &[]).unwrap_err();
        assert_eq!(
            error,
            "`package-installs.yaml` of the element `e0`: `a`: the variable `Z` is not set"
        );
        for statement in ["= 1", "Z", "Z < 1", "", "a b = 1"] {
            let error = packages(&[&format!("a: {{when: '{statement}'}}\n")], &[]).unwrap_err();
            assert!(error.contains("is no condition"), "{statement}: {error}");
        }
    }

    #[test]
    fn what_one_element_installs_no_other_removes() {
        let removed = "a: {uninstall: True}\n";
        assert_eq!(packages(&[removed], &[]).unwrap(), ["install.d: -a"]);
        assert_eq!(packages(&["a:\n", removed], &[]).unwrap(), ["install.d: +a"]);
        assert_eq!(packages(&[removed, "a:\n"], &[]).unwrap(), ["install.d: +a"]);
        let build = "a: {build-only: True}\n";
        assert_eq!(packages(&[build], &[]).unwrap(), ["install.d: +a -a"]);
        assert_eq!(packages(&["a:\n", build], &[]).unwrap(), ["install.d: +a +a"]);
    }

    #[test]
    fn a_wrong_file_is_named_with_its_element() {
        let error = packages(&["a: {arch: x, not-arch: y}\n"], &[("ARCH", "x")]).unwrap_err();
        assert!(error.ends_with("`a`: `arch` and `not-arch` exclude each other"), "{error}");
        for text in ["- a\n", "a: 7\n", "a: [[]]\n", "a: {when: {}}\n", "x: [\n"] {
            let error = packages(&[text], &[]).unwrap_err();
            assert_eq!(error, "could not read `package-installs.yaml` of the element `e0`");
        }
    }
}
