// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a recipe says of its base.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::file::Finding;
use super::rpm::{CentosStream, El, Fedora};
use super::{DibBase, Parameters, RpmBase, RpmRelease, Snapshot, SourcePath, Url, UserName};
use crate::image::Sha256;
use crate::place::after_scheme;
use crate::{Arch, Digest, schema};

/// How a finding begins that is about a key of these bases.
const PACKAGES_ONLY: &str = "only the bases `debian` and `ubuntu` go";
/// Debian's mirrors.
const DEBIAN: &str = "http://deb.debian.org";
/// What Debian's mirrors were at any time.
const DEBIAN_SNAPSHOTS: &str = "http://snapshot.debian.org/archive";
/// Ubuntu's mirror, that of its security updates, and the one for all but x86.
const UBUNTU: [&str; 3] = [
    "http://archive.ubuntu.com/ubuntu",
    "http://security.ubuntu.com/ubuntu",
    "http://ports.ubuntu.com/ubuntu-ports",
];
/// What Ubuntu's mirrors were at any time since March 2023.
const UBUNTU_SNAPSHOTS: &str = "https://snapshot.ubuntu.com/ubuntu";

/// What an image is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Base {
    /// A release of Debian or Ubuntu.
    Packages(DebianBase),
    /// A release of a distribution with RPM.
    Rpm(RpmBase),
    /// Something that has a tree.
    Tree(TreeBase),
}

impl Base {
    /// Returns the account that machines have if the recipe names none.
    pub(super) fn account(&self) -> Option<UserName> {
        match self {
            Self::Packages(base) => {
                Some(base.release.family().parse().expect("it is the name of an account"))
            }
            Self::Rpm(base) => {
                Some(base.release.account().parse().expect("it is the name of an account"))
            }
            Self::Tree(_) => None,
        }
    }
}

/// What has a tree already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TreeBase {
    /// A tar archive, compressed or not.
    Tar(TarBase),
    /// A bundle: its name, or a file.
    Bundle(String),
    /// A disk image: its name in the store, or a file if there is a `/` in it.
    Image(String),
    /// Another recipe.
    Recipe(RecipeBase),
    /// What diskimage-builder's elements make.
    Dib(DibBase),
}

/// An archive, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TarBase {
    /// Its address, or a file: from the recipe's folder if it is no absolute path.
    pub from: String,
    /// Its digest; always there with an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

impl TarBase {
    /// Returns its address and digest, if it is to be fetched.
    #[must_use]
    pub fn address(&self) -> Option<(&str, &Digest)> {
        let digest = self.sha256.as_ref()?;
        is_address(&self.from).then_some((self.from.as_str(), digest))
    }
}

fn is_address(from: &str) -> bool {
    after_scheme(from).is_some()
}

/// Another recipe, and the values of its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecipeBase {
    /// Its file, from this one's folder.
    pub file: String,
    /// Values in place of the defaults of its parameters.
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

/// A release of Debian or Ubuntu, and where its packages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebianBase {
    /// The release.
    #[serde(flatten)]
    pub release: Release,
    /// Where its packages are.
    pub mirror: Url,
    /// Where its security updates are.
    pub security: Url,
    /// The parts of the archive, each once.
    pub components: Vec<Component>,
    /// Which packages come without being asked for.
    pub variant: Variant,
    /// The moment whose packages they are; `None` for those of today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// A file of the recipe's folder with the keys of the mirror; `None` for the distributor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<String>,
}

impl DebianBase {
    /// Returns where a machine gets its packages from, and where its security updates: where they
    /// are today, not what they were at the time of the snapshot.
    #[must_use]
    pub fn today(&self, arch: Arch) -> [String; 2] {
        let archived = match self.release {
            Release::Debian(_) => DEBIAN_SNAPSHOTS,
            Release::Ubuntu(_) => UBUNTU_SNAPSHOTS,
        };
        let [mirror, security] = self.release.mirrors(Some(arch), None);
        let today = |given: &Url, usual: String| {
            if given.as_str().starts_with(archived) { usual } else { given.to_string() }
        };
        [today(&self.mirror, mirror), today(&self.security, security)]
    }
}

/// A release that Kiln builds of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// One of Debian.
    Debian(Debian),
    /// One of Ubuntu.
    Ubuntu(Ubuntu),
}

impl Release {
    /// Returns the code name, which is the suite's name on a mirror.
    #[must_use]
    pub const fn codename(self) -> &'static str {
        match self {
            Self::Debian(release) => release.codename(),
            Self::Ubuntu(release) => release.codename(),
        }
    }

    /// Returns the distribution's name, as os-release(5) has it in `ID`.
    #[must_use]
    pub const fn family(self) -> &'static str {
        match self {
            Self::Debian(_) => "debian",
            Self::Ubuntu(_) => "ubuntu",
        }
    }

    /// Returns the distributor's mirrors: of packages and of security updates.
    fn mirrors(self, arch: Option<Arch>, snapshot: Option<&Snapshot>) -> [String; 2] {
        match (self, snapshot) {
            (Self::Debian(_), at) => ["debian", "debian-security"].map(|archive| match at {
                Some(at) => format!("{DEBIAN_SNAPSHOTS}/{archive}/{at}"),
                None => format!("{DEBIAN}/{archive}"),
            }),
            (Self::Ubuntu(_), Some(at)) => {
                let archive = format!("{UBUNTU_SNAPSHOTS}/{at}");
                [archive.clone(), archive]
            }
            (Self::Ubuntu(_), None) => {
                let [main, security, ports] = UBUNTU.map(str::to_owned);
                if arch == Some(Arch::Arm64) { [ports.clone(), ports] } else { [main, security] }
            }
        }
    }
}

/// A release of Debian that Kiln builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A release of Ubuntu that Kiln builds: those with long-term support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Ubuntu {
    /// Ubuntu 22.04.
    Jammy,
    /// Ubuntu 24.04.
    Noble,
    /// Ubuntu 26.04.
    Resolute,
}

impl Ubuntu {
    /// Returns the code name, which is the suite's name on a mirror.
    #[must_use]
    pub const fn codename(self) -> &'static str {
        match self {
            Self::Jammy => "jammy",
            Self::Noble => "noble",
            Self::Resolute => "resolute",
        }
    }
}

/// A part of an archive of packages.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The distribution itself.
    Main,
    /// Debian: free packages that need others which are not free.
    Contrib,
    /// Debian: packages that are not free.
    NonFree,
    /// Debian: firmware that is not free.
    NonFreeFirmware,
    /// Ubuntu: drivers that are not free.
    Restricted,
    /// Ubuntu: free packages that others look after.
    Universe,
    /// Ubuntu: packages that are not free.
    Multiverse,
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
            Self::Restricted => "restricted",
            Self::Universe => "universe",
            Self::Multiverse => "multiverse",
        }
    }

    /// Returns whether the archive of this release has it.
    fn is_of(self, release: Release) -> bool {
        match self {
            Self::Main => true,
            Self::Contrib | Self::NonFree | Self::NonFreeFirmware => {
                matches!(release, Release::Debian(_))
            }
            Self::Restricted | Self::Universe | Self::Multiverse => {
                matches!(release, Release::Ubuntu(_))
            }
        }
    }
}

/// Which packages an image has without being asked for, in mmdebstrap(1)'s words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BaseFile {
    /// A release of Debian.
    debian: Option<Debian>,
    /// A release of Ubuntu.
    ubuntu: Option<Ubuntu>,
    /// A release of Fedora, like 43.
    fedora: Option<Fedora>,
    /// A release of CentOS Stream: 9 or 10.
    #[serde(rename = "centos-stream")]
    centos_stream: Option<CentosStream>,
    /// A release of AlmaLinux: 9, 10 or one like "9.6".
    almalinux: Option<El>,
    /// A release of Rocky Linux: 9, 10 or one like "9.6".
    rocky: Option<El>,
    /// A tar archive: a file, or an address and the `sha256` of what it leads to.
    #[schemars(with = "Option<String>")]
    tar: Option<Spanned<String>>,
    /// The digest of an archive that is fetched.
    #[schemars(with = "Option<Sha256>")]
    sha256: Option<Spanned<Sha256>>,
    /// A bundle: its name, or a file.
    bundle: Option<String>,
    /// A disk image: its name in the store, or a file if there is a `/` in it.
    image: Option<String>,
    /// Another recipe: its file, from this one's folder.
    recipe: Option<String>,
    /// Values for the parameters of the other recipe.
    #[schemars(with = "Option<BTreeMap<String, schema::Scalar>>")]
    parameters: Option<Spanned<Parameters>>,
    /// What elements of diskimage-builder make.
    dib: Option<DibBase>,
    /// The mirror of the packages.
    #[schemars(with = "Option<Url>")]
    mirror: Option<Spanned<Url>>,
    /// The mirror of the security updates, of Debian and Ubuntu.
    #[schemars(with = "Option<Url>")]
    security: Option<Spanned<Url>>,
    /// The parts of the archive, of Debian and Ubuntu.
    #[schemars(with = "Option<Vec<Component>>")]
    components: Option<Spanned<Vec<Component>>>,
    /// The packages that come without being asked for, of Debian and Ubuntu.
    #[schemars(with = "Option<Variant>")]
    variant: Option<Spanned<Variant>>,
    /// The moment whose packages they are, of Debian and Ubuntu: `20250101T000000Z`.
    #[schemars(with = "Option<Snapshot>")]
    snapshot: Option<Spanned<Snapshot>>,
    /// The keys that sign the packages: a file of the recipe's folder.
    #[schemars(with = "Option<SourcePath>")]
    keyring: Option<Spanned<SourcePath>>,
}

impl BaseFile {
    fn release(&self) -> Option<Release> {
        self.debian.map(Release::Debian).or(self.ubuntu.map(Release::Ubuntu))
    }

    fn rpm_release(&self) -> Option<RpmRelease> {
        let fedora = self.fedora.clone().map(RpmRelease::Fedora);
        let stream = || self.centos_stream.clone().map(RpmRelease::CentosStream);
        let alma = || self.almalinux.clone().map(RpmRelease::Almalinux);
        fedora.or_else(stream).or_else(alma).or_else(|| self.rocky.clone().map(RpmRelease::Rocky))
    }

    pub(super) fn is_packages(&self) -> bool {
        self.release().is_some() || self.rpm_release().is_some()
    }

    pub(super) fn is_rpm(&self) -> bool {
        self.rpm_release().is_some()
    }

    pub(super) fn is_recipe(&self) -> bool {
        self.recipe.is_some()
    }

    /// Checks that the base is one thing, and has only keys that go with it.
    pub(super) fn check(&self, at: Location) -> Result<(), Finding> {
        let kinds = [
            self.debian.is_some(),
            self.ubuntu.is_some(),
            self.fedora.is_some(),
            self.centos_stream.is_some(),
            self.almalinux.is_some(),
            self.rocky.is_some(),
            self.tar.is_some(),
            self.bundle.is_some(),
            self.image.is_some(),
            self.recipe.is_some(),
            self.dib.is_some(),
        ];
        if kinds.into_iter().filter(|is| *is).count() != 1 {
            let message = "a base is one of `debian`, `ubuntu`, `fedora`, `centos-stream`, \
                           `almalinux`, `rocky`, `tar`, `bundle`, `image`, `recipe` and `dib`";
            return Err((at, message.into()));
        }
        if let (None, Some(parameters)) = (&self.recipe, &self.parameters) {
            let message = "only the base `recipe` goes with `parameters`".into();
            return Err((parameters.referenced, message));
        }
        self.check_tar()?;
        let Some(release) = self.release() else { return self.check_tree() };
        match &self.components {
            Some(list) => check_components(release, list),
            None => Ok(()),
        }
    }

    /// Checks that what is fetched has a digest.
    fn check_tar(&self) -> Result<(), Finding> {
        match (&self.tar, &self.sha256) {
            (None, Some(sha256)) => {
                Err((sha256.referenced, "only the base `tar` goes with `sha256`".into()))
            }
            (Some(tar), None) if is_address(&tar.value) => Err((
                tar.referenced,
                "an archive that is fetched needs its digest, the key `sha256`".into(),
            )),
            (Some(tar), _) if !is_address(&tar.value) && tar.value.contains("://") => Err((
                tar.referenced,
                "an archive is fetched from an address with `https://` or `http://`".into(),
            )),
            _ => Ok(()),
        }
    }

    fn check_tree(&self) -> Result<(), Finding> {
        let of_all = [
            ("mirror", self.mirror.as_ref().map(|key| key.referenced)),
            ("keyring", self.keyring.as_ref().map(|key| key.referenced)),
        ];
        let found = of_all.into_iter().find_map(|(key, at)| Some((key, at?)));
        if let (Some((key, at)), None) = (found, self.rpm_release()) {
            return Err((at, format!("only bases of packages go with `{key}`")));
        }
        let places = [
            ("security", self.security.as_ref().map(|key| key.referenced)),
            ("components", self.components.as_ref().map(|key| key.referenced)),
            ("variant", self.variant.as_ref().map(|key| key.referenced)),
            ("snapshot", self.snapshot.as_ref().map(|key| key.referenced)),
        ];
        match places.into_iter().find_map(|(key, at)| Some((key, at?))) {
            Some((key, at)) => Err((at, format!("{PACKAGES_ONLY} with `{key}`"))),
            None => Ok(()),
        }
    }

    /// Returns the base, for machines with processors of `arch`.
    pub(super) fn into_base(self, arch: Option<Arch>) -> Base {
        if let Some(release) = self.rpm_release() {
            let mirror = self.mirror.map(|mirror| mirror.value);
            let mirror = mirror.unwrap_or_else(|| release.mirror());
            let keyring = self.keyring.map(|keyring| keyring.value.into());
            return Base::Rpm(RpmBase { release, mirror, keyring });
        }
        let Some(release) = self.release() else { return Base::Tree(self.into_tree()) };
        let usual = match release {
            Release::Debian(_) => vec![Component::Main],
            Release::Ubuntu(_) => vec![Component::Main, Component::Universe],
        };
        let mut components = self.components.map_or(usual, |list| list.value);
        components.sort_unstable();
        components.dedup();
        let snapshot = self.snapshot.map(|snapshot| snapshot.value);
        let [mirror, security] = release.mirrors(arch, snapshot.as_ref());
        let url = |given: Option<Spanned<Url>>, usual: &str| match given {
            Some(url) => url.value,
            None => usual.parse().expect("it is an address"),
        };
        Base::Packages(DebianBase {
            release,
            mirror: url(self.mirror, &mirror),
            security: url(self.security, &security),
            snapshot,
            components,
            variant: self.variant.map_or_else(Variant::default, |variant| variant.value),
            keyring: self.keyring.map(|keyring| keyring.value.into()),
        })
    }

    fn into_tree(self) -> TreeBase {
        let sha256 = self.sha256.map(|sha256| sha256.value.0);
        match (self.tar, self.bundle, self.dib, self.image) {
            (Some(tar), ..) => TreeBase::Tar(TarBase { from: tar.value, sha256 }),
            (None, Some(bundle), ..) => TreeBase::Bundle(bundle),
            (None, None, Some(dib), _) => TreeBase::Dib(dib),
            (None, None, None, Some(image)) => TreeBase::Image(image),
            (None, None, None, None) => {
                let parameters = self.parameters.map(|all| all.value).unwrap_or_default();
                TreeBase::Recipe(RecipeBase { file: self.recipe.unwrap_or_default(), parameters })
            }
        }
    }
}

fn check_components(release: Release, list: &Spanned<Vec<Component>>) -> Result<(), Finding> {
    let wrong = |message: String| Err((list.referenced, message));
    if list.value.is_empty() {
        return wrong("a base needs a component: `main`".into());
    }
    if let Some(other) = list.value.iter().find(|component| !component.is_of(release)) {
        let family = release.family();
        return wrong(format!("the archive of `{family}` has no component `{}`", other.as_str()));
    }
    let all = [Component::Main, Component::Universe].iter().all(|c| list.value.contains(c));
    if matches!(release, Release::Ubuntu(_)) && !all {
        return wrong("an Ubuntu needs the components `main` and `universe`".into());
    }
    Ok(())
}
