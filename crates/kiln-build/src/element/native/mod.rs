// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Kiln's own elements: what they are, and what a recipe that names one gets.
//!
//! An element is a folder below `elements/`: `element.yaml`, `README.md`, and `apply.sh` if it
//! needs a script. All of them are in the program. [`Native::expand`] is pure: out come packages,
//! files, units and a script for one family of distributions.
//!
//! **Invariant:** no value of a recipe becomes part of a script. Values reach scripts by the
//! environment, and files by [`Expansion::files`].

use std::collections::BTreeMap;

use kiln_spec::recipe::{FileMode, GuestPath, KernelWords};
use kiln_spec::yaml::{self, nearest};
use serde::{Deserialize, Serialize};

use crate::base::GuestFile;
use crate::element::ElementError;
use crate::workspace::{Content, Edit, Owned};

mod list;
mod parameter;

pub use list::ELEMENTS;
use parameter::Values;
pub use parameter::{Given, Kind, Parameter};

/// The files of an element, as they are in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name: the folder's.
    pub name: &'static str,
    /// `element.yaml`.
    pub yaml: &'static str,
    /// `README.md`.
    pub readme: &'static str,
    /// `apply.sh`.
    pub script: Option<&'static str>,
}

/// A family of distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Debian, Ubuntu and those made from them.
    Debian,
    /// Fedora, Red Hat's and those made from them.
    Rpm,
}

impl Family {
    /// Returns its name: `debian`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Rpm => "rpm",
        }
    }

    /// Finds the family of a tree by its os-release(5); `None` for one that elements do not know.
    #[must_use]
    pub fn of_os_release(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim().trim_matches(['"', '\''])).unwrap_or_default()
        };
        let known = |id: &str| match id {
            "debian" | "ubuntu" => Some(Self::Debian),
            "fedora" | "rhel" | "centos" | "almalinux" | "rocky" | "openeuler" | "ol" => {
                Some(Self::Rpm)
            }
            _ => None,
        };
        known(value("ID")).or_else(|| value("ID_LIKE").split_whitespace().find_map(known))
    }
}

/// An element of Kiln's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Native {
    /// The format of the file: 1.
    kiln: u32,
    /// What it does, in one line.
    pub summary: String,
    /// What recipes may say.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    packages: BTreeMap<Family, Vec<String>>,
    #[serde(default)]
    units: BTreeMap<Family, Units>,
    kernel_cmdline: Option<String>,
    #[serde(default)]
    files: Vec<File>,
}

/// What is done to units of systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Units {
    /// Those that are started at boot.
    pub enable: Vec<String>,
    /// Those that are not.
    pub disable: Vec<String>,
    /// Those that nothing can start.
    pub mask: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    #[serde(default)]
    mode: FileMode,
    /// Only for this family.
    family: Option<Family>,
    /// Only if this parameter is set.
    when: Option<String>,
    content: String,
}

/// A script that runs in the tree, as root, with `/bin/sh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    /// Its text.
    pub text: &'static str,
    /// Its environment: `FAMILY`, and each parameter as `P_NAME`.
    pub env: Vec<(String, String)>,
}

/// What an image gets from an element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expansion {
    /// Packages that are installed.
    pub packages: Vec<String>,
    /// Files that are written after that; root owns them.
    pub files: Vec<GuestFile>,
    /// Run after that.
    pub script: Option<Script>,
    /// Done after that.
    pub units: Units,
    /// Words for the kernel's command line.
    pub kernel_cmdline: Option<KernelWords>,
}

impl Expansion {
    /// Returns the edits that write its files.
    #[must_use]
    pub fn edits(&self) -> Vec<Edit> {
        let edit = |file: &GuestFile| Edit::File {
            path: file.path.clone(),
            content: Content(file.content.clone().into_bytes()),
            owned: Owned::by_root(file.mode),
        };
        self.files.iter().map(edit).collect()
    }
}

/// Finds an element of Kiln's by its name.
///
/// # Errors
///
/// [`ElementError::Unknown`], with a name that is near.
pub fn find(name: &str) -> Result<&'static Source, ElementError> {
    ELEMENTS.iter().find(|source| source.name == name).ok_or_else(|| ElementError::Unknown {
        name: name.to_owned(),
        needed_by: None,
        near: nearest(name, ELEMENTS.iter().map(|source| source.name)).map(str::to_owned),
    })
}

impl Source {
    /// Reads the element's description.
    ///
    /// # Errors
    ///
    /// [`ElementError::Yaml`]; never for an element of [`ELEMENTS`], which tests read.
    pub fn read(&self) -> Result<Native, ElementError> {
        yaml::from_str(self.yaml, "element.yaml").map_err(|source| ElementError::Yaml {
            element: self.name.to_owned(),
            file: "element.yaml".into(),
            source: Box::new(source),
        })
    }

    /// Returns what an image of a family gets, with the parameters that a recipe gives.
    ///
    /// # Errors
    ///
    /// [`ElementError::Parameter`] for parameters that the element does not take.
    pub fn expand(&self, given: &Given, family: Family) -> Result<Expansion, ElementError> {
        let native = self.read()?;
        native
            .expand(self.script, given, family)
            .map_err(|why| ElementError::Parameter { element: self.name.to_owned(), why })
    }
}

impl Native {
    fn expand(
        &self,
        script: Option<&'static str>,
        given: &Given,
        family: Family,
    ) -> Result<Expansion, String> {
        let values = Values::of(&self.parameters, given)?;
        let fill_all = |texts: &[String]| -> Result<Vec<String>, String> {
            let filled = texts.iter().map(|text| values.fill(text));
            // What a parameter leaves empty is nothing.
            Ok(filled
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect())
        };
        let units = self.units.get(&family).cloned().unwrap_or_default();
        let files = self.files.iter().filter(|file| {
            file.family.is_none_or(|only| only == family)
                && file.when.as_deref().is_none_or(|name| values.is_set(name))
        });
        let words = self.kernel_cmdline.as_deref().map(|words| values.fill(words)).transpose()?;
        Ok(Expansion {
            packages: fill_all(self.packages.get(&family).map_or(&[][..], Vec::as_slice))?,
            files: files.map(|file| file.fill(&values)).collect::<Result<_, _>>()?,
            script: script.map(|text| Script { text, env: environment(&values, family) }),
            units: Units {
                enable: fill_all(&units.enable)?,
                disable: fill_all(&units.disable)?,
                mask: fill_all(&units.mask)?,
            },
            kernel_cmdline: words
                .map(|words| words.parse::<KernelWords>().map_err(|error| error.to_string()))
                .transpose()?,
        })
    }
}

fn environment(values: &Values, family: Family) -> Vec<(String, String)> {
    let family = ("FAMILY".to_owned(), family.name().to_owned());
    let of = |(name, value): (&str, String)| (format!("P_{}", name.to_uppercase()), value);
    std::iter::once(family).chain(values.lines().map(of)).collect()
}

impl File {
    fn fill(&self, values: &Values) -> Result<GuestFile, String> {
        let path = values.fill(&self.path)?;
        let path = path.parse::<GuestPath>().map_err(|error| error.to_string())?;
        let content = values.fill(&self.content)?;
        Ok(GuestFile { path: path.to_string(), mode: self.mode.0, content })
    }
}

#[cfg(test)]
mod tests;
