// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A recipe as it is written, with the places of its values.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::base::BaseFile;
use super::disk::DiskFile;
use super::{
    Base, Command, ElementUse, FORMAT, FileEntry, FileMode, FileSource, GuestPath, ImageName,
    KernelWords, Locale, Output, Owner, PackageName, Parameters, Properties, Recipe, SourcePath,
    Timezone, Units, User, UserName,
};
use crate::size::SizeError;
use crate::{Arch, Bytes, MachineName, schema};

/// The latest time that all file systems of an image can hold.
const LATEST: u64 = 0xffff_ffff;
/// The least memory that a kernel with its initramfs starts in.
const LEAST_MEMORY: Bytes = Bytes::from_mib(256);

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

/// A recipe of Kiln: what an image is made of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Recipe of Kiln")]
pub(crate) struct RecipeFile {
    /// The number of this format.
    #[serde(rename = "kiln")]
    #[schemars(schema_with = "schema::format")]
    _format: Format,
    /// Names with default values, or none where `-p NAME=VALUE` must say it: `${NAME}` is replaced
    /// everywhere in the file.
    // Read before all else: see `parameters`.
    #[serde(rename = "parameters", default)]
    #[schemars(with = "BTreeMap<String, Option<schema::Scalar>>")]
    _parameters: BTreeMap<String, IgnoredAny>,
    /// The image's name in the store.
    name: ImageName,
    /// What the image is made from: one kind, and what goes with it.
    #[schemars(with = "BaseFile")]
    base: Spanned<BaseFile>,
    /// The processors that it is for: `amd64` or `arm64`; this machine's if it is not said.
    arch: Option<Arch>,
    /// Packages that are installed.
    #[serde(default)]
    packages: Vec<PackageName>,
    /// Elements of Kiln's, in this order: `kiln element list` shows them.
    #[serde(default)]
    elements: Vec<ElementUse>,
    /// The disk.
    #[serde(default)]
    disk: DiskFile,
    /// The account that machines are logged in to.
    #[schemars(with = "Option<UserName>")]
    user: Option<Spanned<UserName>>,
    /// The least memory of its machines, 256 MiB or more.
    #[schemars(with = "Option<Size>")]
    memory: Option<Spanned<Size>>,
    /// Files and folders that are put into it.
    #[serde(default)]
    files: Vec<FileEntryFile>,
    /// The host name until a machine has its own.
    hostname: Option<MachineName>,
    /// The language.
    #[schemars(with = "Option<Locale>")]
    locale: Option<Spanned<Locale>>,
    /// The time zone.
    timezone: Option<Timezone>,
    /// More words for the kernel's command line.
    kernel_cmdline: Option<KernelWords>,
    /// The times of its files, in seconds since 1970, for images that are the same byte for byte.
    #[schemars(with = "Option<u32>")]
    source_date_epoch: Option<Spanned<u64>>,
    /// Accounts.
    #[serde(default)]
    #[schemars(with = "Vec<User>")]
    users: Vec<Spanned<User>>,
    /// Commands that are run in its tree, in this order.
    #[serde(default)]
    #[schemars(with = "Vec<Command>")]
    commands: Vec<Spanned<Command>>,
    /// Units of systemd.
    #[serde(default)]
    units: Units,
    /// Files that are made besides the image in the store.
    #[serde(default)]
    #[schemars(with = "Vec<Output>")]
    outputs: Vec<Spanned<Output>>,
    /// What a cloud is to know of it.
    #[serde(default)]
    properties: Properties,
}

/// A size with its unit: `512MiB`, `20GiB`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct Size(#[schemars(with = "String")] pub(super) Bytes);

impl TryFrom<String> for Size {
    type Error = SizeError;

    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse().map(Self)
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileEntryFile {
    /// Where it is put.
    #[schemars(with = "GuestPath")]
    path: Spanned<GuestPath>,
    /// What is in it; or `source`.
    content: Option<String>,
    /// A file or folder of the recipe's folder; or `content`.
    source: Option<SourcePath>,
    /// Whether parameters are replaced in the file that `source` names.
    #[serde(default)]
    template: bool,
    /// Its permissions; 0644, or those of the files of a folder.
    mode: Option<FileMode>,
    /// Whose it is; root's.
    #[serde(default)]
    owner: Owner,
    /// Its group; root's.
    #[serde(default)]
    group: Owner,
}

pub(super) type Finding = (serde_saphyr::Location, String);

/// Checks that a size is large enough.
pub(super) fn least(
    what: &str,
    value: &Option<Spanned<Size>>,
    least: Bytes,
) -> Result<(), Finding> {
    match value {
        Some(size) if size.value.0 < least => {
            Err((size.referenced, format!("{what} needs at least {least}")))
        }
        _ => Ok(()),
    }
}

/// Checks that a file's contents are said once.
pub(crate) fn content_or_source(
    path: &GuestPath,
    content: bool,
    source: bool,
) -> Result<(), String> {
    match (content, source) {
        (false, false) => Err(format!("`{path}` needs the key `content` or `source`")),
        (true, true) => Err(format!("`{path}` has both `content` and `source`")),
        _ => Ok(()),
    }
}

impl RecipeFile {
    /// Checks what one value alone cannot tell.
    pub(super) fn check(&self) -> Result<(), Finding> {
        self.disk.check()?;
        least("a machine's memory", &self.memory, LEAST_MEMORY)?;
        if let Some(epoch) = &self.source_date_epoch
            && epoch.value > LATEST
        {
            let message = "a time of files is at most 4294967295, in the year 2106".to_owned();
            return Err((epoch.referenced, message));
        }
        self.check_base()?;
        let mut seen = BTreeSet::new();
        for file in &self.files {
            let wrong = |message: String| Err((file.path.referenced, message));
            let path = &file.path.value;
            if !seen.insert(path) {
                return wrong(format!("`{path}` is there twice"));
            }
            content_or_source(path, file.content.is_some(), file.source.is_some())
                .or_else(wrong)?;
            if file.content.is_some() && file.template {
                let why = "parameters are replaced in `content` anyway";
                return wrong(format!("`{path}` cannot be a template: {why}"));
            }
        }
        let mut names = BTreeSet::new();
        for user in &self.users {
            let name = &user.value.name;
            if !names.insert(name) {
                return Err((user.referenced, format!("the user `{name}` is there twice")));
            }
        }
        let mut outputs = BTreeSet::new();
        for output in &self.outputs {
            if !outputs.insert(output.value) {
                let message = format!("the output `{}` is there twice", output.value.as_str());
                return Err((output.referenced, message));
            }
        }
        match self.commands.iter().find(|command| command.value.run.trim().is_empty()) {
            Some(empty) => Err((empty.referenced, "there is nothing to run".into())),
            None => Ok(()),
        }
    }

    fn check_base(&self) -> Result<(), Finding> {
        let base = &self.base.value;
        base.check(self.base.referenced)?;
        if !base.is_packages()
            && let Some(locale) = &self.locale
        {
            return Err((locale.referenced, "only bases of packages go with `locale`".into()));
        }
        let versioned = self.packages.iter().find(|package| package.as_str().contains('='));
        if base.is_rpm()
            && let Some(package) = versioned
        {
            let message =
                format!("`{package}`: a version of an RPM is asked for as `name-version`");
            return Err((self.base.referenced, message));
        }
        match &self.user {
            Some(user) if base.is_recipe() => {
                Err((user.referenced, "`user` is that of the recipe below".into()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn into_recipe(self) -> Recipe {
        let base = self.base.value.into_base(self.arch.or(Arch::native()));
        let is_packages = !matches!(base, Base::Tree(_));
        let is_debian = matches!(base, Base::Packages(_));
        let account = base.account();
        Recipe {
            name: self.name,
            base,
            arch: self.arch,
            packages: self.packages,
            elements: self.elements,
            disk: self.disk.into_disk(is_debian),
            user: self.user.map(|user| user.value).or(account),
            memory: self.memory.map_or(DEFAULT_MEMORY, |memory| memory.value.0),
            files: self.files.into_iter().map(FileEntryFile::into_entry).collect(),
            hostname: self.hostname.or_else(|| is_packages.then(default_hostname)),
            locale: self.locale.map(|key| key.value).or_else(|| is_packages.then(Locale::default)),
            timezone: self.timezone.or_else(|| is_packages.then(Timezone::default)),
            kernel_cmdline: self.kernel_cmdline,
            source_date_epoch: self.source_date_epoch.map(|epoch| epoch.value),
            users: self.users.into_iter().map(|user| user.value).collect(),
            commands: self.commands.into_iter().map(|command| command.value).collect(),
            units: self.units,
            outputs: self.outputs.into_iter().map(|output| output.value).collect(),
            properties: self.properties,
            parameters: Parameters::new(),
        }
    }
}

impl FileEntryFile {
    fn into_entry(self) -> FileEntry {
        let what = match (self.content, self.source.map(String::from)) {
            (Some(content), _) => FileSource::Content(content),
            (None, Some(path)) if self.template => FileSource::Template(path),
            (None, path) => FileSource::Source(path.unwrap_or_default()),
        };
        let usual = !matches!(what, FileSource::Source(_));
        let mode = self.mode.or_else(|| usual.then(FileMode::default));
        let (path, owner, group) = (self.path.value, self.owner, self.group);
        FileEntry { path, what, mode, owner, group }
    }
}

const DEFAULT_MEMORY: Bytes = Bytes::from_mib(512);

fn default_hostname() -> MachineName {
    "localhost".parse().expect("it is a host name")
}
