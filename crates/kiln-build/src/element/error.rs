// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why elements cannot be used.

use std::io;
use std::path::PathBuf;

use kiln_spec::yaml::YamlError;

/// Why elements cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElementError {
    /// A folder that elements are looked for in cannot be read.
    #[error("could not read the folder of elements `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder holds more than any folder of elements does.
    #[error("`{}` has more than {most} entries", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many are looked at.
        most: usize,
    },
    /// No element has this name.
    #[error("there is no element `{name}`{}", for_whom(needed_by.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The element that depends on it; `None` if the user named it.
        needed_by: Option<String>,
        /// A name that may have been meant.
        near: Option<String>,
    },
    /// Two elements provide the same.
    #[error("both `{first}` and `{second}` provide `{provided}`")]
    TwoProviders {
        /// What both provide: `operating-system`.
        provided: String,
        /// The one that came first.
        first: String,
        /// The other.
        second: String,
    },
    /// An element was named that another one stands for.
    #[error("the element `{name}` cannot be used beside `{by}`, which provides it")]
    Displaced {
        /// The element.
        name: String,
        /// The one that provides it.
        by: String,
    },
    /// No element makes an operating system.
    #[error("no element provides `operating-system`")]
    NoOperatingSystem,
    /// Two elements have a script or program of the same name.
    #[error("the elements `{first}` and `{second}` both have `{file}`")]
    TwoHooks {
        /// The script, with its folder: `install.d/10-x`.
        file: String,
        /// The one that came first.
        first: String,
        /// The other.
        second: String,
    },
    /// A file of an element cannot be read.
    #[error("could not read `{file}` of the element `{element}`")]
    Io {
        /// The element.
        element: String,
        /// The file, seen from the element's folder.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A link of an element leads out of its folder.
    #[error("`{file}` of the element `{element}` leads to `{}`, outside of it", target.display())]
    Outside {
        /// The element.
        element: String,
        /// The link, seen from the element's folder.
        file: String,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file of an element is no YAML of its kind.
    #[error("could not read `{file}` of the element `{element}`")]
    Yaml {
        /// The element.
        element: String,
        /// The file.
        file: String,
        /// What is wrong, and where.
        source: Box<YamlError>,
    },
    /// A file of an element is no JSON of its kind.
    #[error("could not read `{file}` of the element `{element}`")]
    Json {
        /// The element.
        element: String,
        /// The file.
        file: String,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The tree is of a distribution that elements do not know.
    #[error("the element `{element}` knows the Debian and the RPM family, and the tree is neither")]
    NoFamily {
        /// The element.
        element: String,
    },
    /// A parameter of an element is missing, unknown or wrong.
    #[error("the element `{element}`: {why}")]
    Parameter {
        /// The element.
        element: String,
        /// What is wrong.
        why: String,
    },
    /// A file of an element says what makes no sense.
    #[error("`{file}` of the element `{element}`: {why}")]
    Content {
        /// The element.
        element: String,
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

impl ElementError {
    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Folder { .. } => {
                Some("`paths` of the base names folders that hold elements".into())
            }
            Self::Unknown { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::Unknown { near: None, .. } => {
                Some("`kiln element list` lists those that kiln knows".into())
            }
            Self::NoOperatingSystem => Some("name one that does, like `debian-minimal`".into()),
            _ => None,
        }
    }
}

fn for_whom(needed_by: Option<&str>) -> String {
    needed_by.map_or_else(String::new, |by| format!(", which `{by}` depends on"))
}
