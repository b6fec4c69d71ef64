// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How to build an image: the file that people write, and the recipe read from it.
//!
//! The file is YAML; its first line is `kiln: 1`. Two shapes: `RecipeFile` is the file as it is
//! written, with the places of its values; [`Recipe`] is checked, with every default filled in.
//!
//! **Invariant:** no text of a [`Recipe`] holds a control character except a file's content, and
//! none could be taken for an option, so each may stand as one argument of a program.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use crate::size::SizeError;
use crate::yaml::{self, YamlError};
use crate::{Arch, Bytes, MachineName};

mod words;

pub use words::{
    FileMode, GuestPath, ImageName, KernelWords, Locale, PackageName, Timezone, Url, UserName,
    WordError,
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
    /// The disk.
    pub disk: Disk,
    /// The account that cloud-init makes.
    pub user: UserName,
    /// The least memory of a machine made from the image.
    pub memory: Bytes,
    /// Files that are put into the image, in the order of the recipe.
    pub files: Vec<FileEntry>,
    /// The host name until cloud-init sets another.
    pub hostname: MachineName,
    /// The language: `LANG`.
    pub locale: Locale,
    /// The time zone, by its name in the tz database.
    pub timezone: Timezone,
    /// Words added to the kernel's command line.
    pub kernel_cmdline: Option<KernelWords>,
}

/// What an image is made from: a release of Debian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Base {
    /// The release.
    pub debian: Debian,
    /// Where its packages are.
    pub mirror: Url,
    /// Where its security updates are.
    pub security: Url,
    /// The parts of the archive, each once.
    pub components: Vec<Component>,
    /// Which packages come without being asked for.
    pub variant: Variant,
}

/// A release of Debian that Kiln builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Debian {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Debian {
    /// Returns the code name, which is the suite's name on a mirror.
    #[must_use]
    pub const fn codename(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// A part of Debian's archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Debian itself.
    Main,
    /// Free packages that need others which are not free.
    Contrib,
    /// Packages that are not free.
    NonFree,
    /// Firmware that is not free.
    NonFreeFirmware,
}

impl Component {
    /// Returns its name on a mirror.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Contrib => "contrib",
            Self::NonFree => "non-free",
            Self::NonFreeFirmware => "non-free-firmware",
        }
    }
}

/// Which packages an image has without being asked for, in mmdebstrap(1)'s words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The essential ones and apt.
    Apt,
    /// Those of priority `required`, too.
    #[default]
    Minbase,
    /// Those of priority `important`, too.
    Important,
    /// Those of priority `standard`, too.
    Standard,
}

impl Variant {
    /// Returns mmdebstrap's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Minbase => "minbase",
            Self::Important => "important",
            Self::Standard => "standard",
        }
    }
}

/// The disk of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// How large it is; a machine's may be larger.
    pub size: Bytes,
    /// How much of it is the EFI system partition.
    pub esp: Bytes,
}

/// A file that is put into an image; root owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Where.
    pub path: GuestPath,
    /// What it holds.
    pub content: String,
    /// Its permissions.
    pub mode: FileMode,
}

/// The least disk: what the packages of every image and their updates need.
const LEAST_DISK: Bytes = Bytes::from_gib(1);
/// The least EFI system partition: FAT32 needs 65,525 clusters (of 512 bytes).
const LEAST_ESP: Bytes = Bytes::from_mib(34);
/// The least memory that a kernel with its initramfs starts in.
const LEAST_MEMORY: Bytes = Bytes::from_mib(256);

impl Recipe {
    /// Reads a recipe. `file` is how errors call it.
    ///
    /// # Errors
    ///
    /// [`RecipeError`], with the place in the file.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        let read: RecipeFile = yaml::from_str(text, file)?;
        let fail = |at, message| Err(yaml::error_at(text, file, at, message));
        if let Err((at, message)) = read.check() {
            return fail(at, message);
        }
        Ok(read.into_recipe())
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

/// The format's number, which is only ever [`FORMAT`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Format;

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == FORMAT {
            Ok(Self)
        } else {
            Err(format!("this kiln reads format {FORMAT}, and the file says {number}"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    #[serde(rename = "kiln")]
    _format: Format,
    name: ImageName,
    base: BaseFile,
    arch: Option<Arch>,
    #[serde(default)]
    packages: Vec<PackageName>,
    #[serde(default)]
    disk: DiskFile,
    user: Option<UserName>,
    memory: Option<Spanned<Size>>,
    #[serde(default)]
    files: Vec<FileEntryFile>,
    hostname: Option<MachineName>,
    locale: Option<Locale>,
    timezone: Option<Timezone>,
    kernel_cmdline: Option<KernelWords>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseFile {
    debian: Debian,
    mirror: Option<Url>,
    security: Option<Url>,
    components: Option<Spanned<Vec<Component>>>,
    #[serde(default)]
    variant: Variant,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskFile {
    size: Option<Spanned<Size>>,
    esp: Option<Spanned<Size>>,
}

/// A size as people write it: with its unit, always.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(Bytes);

impl TryFrom<String> for Size {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse().map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntryFile {
    path: Spanned<GuestPath>,
    content: String,
    #[serde(default)]
    mode: FileMode,
}

type Finding = (serde_saphyr::Location, String);

impl RecipeFile {
    /// Checks what one value alone cannot tell.
    fn check(&self) -> Result<(), Finding> {
        let least = |what: &str, value: &Option<Spanned<Size>>, least: Bytes| match value {
            Some(size) if size.value.0 < least => {
                Err((size.referenced, format!("{what} needs at least {least}")))
            }
            _ => Ok(()),
        };
        least("the disk", &self.disk.size, LEAST_DISK)?;
        least("the EFI system partition", &self.disk.esp, LEAST_ESP)?;
        least("a machine's memory", &self.memory, LEAST_MEMORY)?;
        if let Some(esp) = &self.disk.esp {
            let size = self.disk.size.as_ref().map_or(DEFAULT_DISK, |size| size.value.0);
            if esp.value.0 > Bytes(size.0 / 2) {
                return Err((
                    esp.referenced,
                    format!("the EFI system partition takes more than half of the disk ({size})"),
                ));
            }
        }
        if let Some(list) = &self.base.components
            && list.value.is_empty()
        {
            return Err((list.referenced, "a base needs a component: `main`".into()));
        }
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if !seen.insert(&file.path.value) {
                let path = &file.path.value;
                return Err((file.path.referenced, format!("`{path}` is there twice")));
            }
        }
        Ok(())
    }

    fn into_recipe(self) -> Recipe {
        let hostname = self.hostname.unwrap_or_else(default_hostname);
        Recipe {
            name: self.name,
            base: self.base.into_base(),
            arch: self.arch,
            packages: self.packages,
            disk: Disk {
                size: self.disk.size.map_or(DEFAULT_DISK, |size| size.value.0),
                esp: self.disk.esp.map_or(DEFAULT_ESP, |esp| esp.value.0),
            },
            user: self.user.unwrap_or_default(),
            memory: self.memory.map_or(DEFAULT_MEMORY, |memory| memory.value.0),
            files: self
                .files
                .into_iter()
                .map(|f| FileEntry { path: f.path.value, content: f.content, mode: f.mode })
                .collect(),
            hostname,
            locale: self.locale.unwrap_or_default(),
            timezone: self.timezone.unwrap_or_default(),
            kernel_cmdline: self.kernel_cmdline,
        }
    }
}

impl BaseFile {
    fn into_base(self) -> Base {
        let mut components = self.components.map_or(vec![Component::Main], |list| list.value);
        components.sort_unstable();
        components.dedup();
        Base {
            debian: self.debian,
            mirror: self.mirror.unwrap_or_else(|| default_url("http://deb.debian.org/debian")),
            security: self
                .security
                .unwrap_or_else(|| default_url("http://deb.debian.org/debian-security")),
            components,
            variant: self.variant,
        }
    }
}

const DEFAULT_DISK: Bytes = Bytes::from_gib(2);
const DEFAULT_ESP: Bytes = Bytes::from_mib(64);
const DEFAULT_MEMORY: Bytes = Bytes::from_mib(512);

fn default_hostname() -> MachineName {
    "localhost".parse().expect("it is a host name")
}

fn default_url(url: &str) -> Url {
    url.parse().expect("it is an address")
}
