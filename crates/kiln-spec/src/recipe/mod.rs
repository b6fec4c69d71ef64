// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How to build an image: the file that people write, and the recipe read from it.
//!
//! The file is YAML; its first line is `kiln: 1`. Two shapes: `RecipeFile` is the file as it is
//! written, with the places of its values; [`Recipe`] is checked, with every default filled in.
//!
//! **Invariant:** no text of a [`Recipe`] holds a control character except a file's content and
//! a command, and none could be taken for an option, so each may stand as one argument of a program.

use serde::Serialize;

use crate::yaml::{self, YamlError};
use crate::{Arch, Bytes, MachineName};

mod base;
mod disk;
mod elements;
mod file;
mod output;
mod parameters;
mod parts;
mod rpm;
mod snapshot;
mod words;

pub use base::{
    Base, Component, Debian, DebianBase, RecipeBase, Release, TarBase, TreeBase, Ubuntu, Variant,
};
pub use disk::{Disk, DiskFirmware, FileSystem, Partition, Table};
pub use elements::{DibBase, ElementUse};
pub(crate) use file::RecipeFile;
pub(crate) use file::content_or_source;
pub use output::{Output, Properties};
pub use parameters::{Parameters, replace};
pub use parts::{Command, FileEntry, FileSource, Units, User};
pub use rpm::{CentosStream, El, Fedora, RpmBase, RpmRelease};
pub use snapshot::Snapshot;
pub use words::{
    ElementName, FileMode, GroupName, GuestPath, ImageName, KernelWords, Label, Locale,
    MountOptions, Owner, PackageName, PropertyName, PropertyValue, SourcePath, SshKey, Timezone,
    UnitName, Url, UserName, VariableName, VolumeGroup, WordError,
};

/// Why a recipe cannot be read.
pub type RecipeError = YamlError;

/// The recipe's format that this Kiln reads.
pub const FORMAT: u32 = 1;

/// How to build an image.
///
/// Its JSON is what a recipe's digest is made of: all that shapes the image, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// The image's name.
    pub name: ImageName,
    /// What it is made from.
    pub base: Base,
    /// For which processors; `None` for the host's.
    pub arch: Option<Arch>,
    /// Packages besides those that every image has.
    pub packages: Vec<PackageName>,
    /// Elements of Kiln's, in the order of the recipe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<ElementUse>,
    /// The disk.
    pub disk: Disk,
    /// The account that one logs in to; that of a base of packages is made by cloud-init.
    pub user: Option<UserName>,
    /// The least memory of a machine made from the image.
    pub memory: Bytes,
    /// Files that are put into the image, in the order of the recipe.
    pub files: Vec<FileEntry>,
    /// The host name until cloud-init sets another.
    pub hostname: Option<MachineName>,
    /// The language: `LANG`.
    pub locale: Option<Locale>,
    /// The time zone, by its name in the tz database.
    pub timezone: Option<Timezone>,
    /// Words added to the kernel's command line.
    pub kernel_cmdline: Option<KernelWords>,
    /// No file is newer than this, in seconds since 1970; see [`Recipe::epoch`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_date_epoch: Option<u64>,
    /// Accounts, made after the files are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// Lines for the tree's shell, run when all else is there, in the order of the recipe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Command>,
    /// Units that are switched on or off, last of all.
    #[serde(skip_serializing_if = "Units::is_empty")]
    pub units: Units,
    /// Files that are made besides the image in the store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// What a cloud is to know of the image.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
    /// The values of the parameters, for templates: all else has them already.
    #[serde(skip)]
    pub parameters: Parameters,
}

impl Recipe {
    /// Reads a recipe. `file` is how errors call it.
    ///
    /// # Errors
    ///
    /// [`RecipeError`], with the place in the file.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        Self::parse_with(text, file, &Parameters::new())
    }

    /// Reads a recipe with these values in place of the defaults of its parameters.
    ///
    /// # Errors
    ///
    /// [`RecipeError`], with the place in the file; also for a parameter that it does not have,
    /// for one that has no value, and for a value that could change what the file says.
    pub fn parse_with(text: &str, file: &str, given: &Parameters) -> Result<Self, RecipeError> {
        let parameters = parameters::read(text, file, given)?;
        let text = &replace(text, &parameters);
        let read: RecipeFile = yaml::from_str(text, file)?;
        if let Err((at, message)) = read.check() {
            return Err(yaml::error_at(text, file, at, message));
        }
        Ok(Self { parameters, ..read.into_recipe() })
    }

    /// Returns the time that no file is newer than, in seconds since 1970: what the recipe says, or
    /// the time of the snapshot of its base.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        let snapshot = match &self.base {
            Base::Packages(base) => base.snapshot.as_ref().map(Snapshot::seconds),
            Base::Rpm(_) | Base::Tree(_) => None,
        };
        self.source_date_epoch.or(snapshot)
    }

    /// Returns the recipe as JSON, with every default filled in: the same text for all ways to
    /// write the same recipe. `arch` stands in where the recipe names none.
    ///
    /// # Panics
    ///
    /// Never: all of a recipe can stand in JSON.
    #[must_use]
    pub fn canonical(&self, arch: Arch) -> serde_json::Value {
        let whole = Self { arch: Some(self.arch.unwrap_or(arch)), ..self.clone() };
        serde_json::to_value(whole).expect("a recipe holds texts, numbers and lists of them")
    }
}
