// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an image could not be built.

use std::io;
use std::path::PathBuf;

use kiln_disk::assemble::AssembleError;
use kiln_disk::image::ImageError;
use kiln_guest::guest::GuestError;
use kiln_guest::transfer::TransferError;
use kiln_host::CmdError;
use kiln_host::lock::LockError;
use kiln_host::namespace::SpaceError;
use kiln_spec::recipe::RecipeError;
use kiln_spec::{Arch, Bytes, Digest, yaml};

use crate::base::debian::Finding;
use crate::bundle::BundleError;
use crate::element::ElementError;
use crate::element::dib::run::RunError;
use crate::stage::Stage;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The recipe is for other processors than the host's.
    #[error("the recipe is for {wanted}, and this host is {}", host_name(*host))]
    Arch {
        /// What the recipe says.
        wanted: Arch,
        /// What the host is; `None` if Kiln does not know it.
        host: Option<Arch>,
    },
    /// This host's processors are of a kind that Kiln builds nothing for.
    #[error("kiln does not know this host's processors")]
    UnknownHost,
    /// The user has no range of ids of its own, which a build without root needs.
    #[error("the user `{user}` has fewer than 65536 subordinate ids in `{file}`")]
    NoSubids {
        /// The user.
        user: String,
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
    },
    /// Packages do not exist.
    #[error("{suite} has no package {}", quoted(packages.iter().map(|(name, _)| name)))]
    NoPackage {
        /// The names, each with the nearest that exists, if one is near.
        packages: Vec<(String, Option<String>)>,
        /// The release.
        suite: String,
    },
    /// A package cannot be installed as the recipe asks.
    #[error("a package cannot be installed: {what}")]
    Unmet {
        /// apt's words.
        what: String,
    },
    /// The mirror has no such release.
    #[error("the mirror has no such release: `{repository}`")]
    NoSuite {
        /// Address and release.
        repository: String,
    },
    /// A file cannot be fetched from the mirror.
    #[error("could not fetch `{url}`: {why}")]
    Mirror {
        /// The file.
        url: String,
        /// apt's words.
        why: String,
    },
    /// The mirror's signature is missing or not trusted.
    #[error("the mirror is not to be trusted: {what}")]
    Untrusted {
        /// apt's words.
        what: String,
    },
    /// The keys of a distributor's mirrors are not on the host.
    #[error("the keys of the mirror, `{}`, are not there", path.display())]
    NoKeyring {
        /// Their file.
        path: PathBuf,
        /// The package of Debian that has it.
        package: &'static str,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{name}`")]
    NoTimezone {
        /// Its name.
        name: String,
    },
    /// There is no such locale.
    #[error("there is no locale `{name}`")]
    NoLocale {
        /// Its name.
        name: String,
    },
    /// There is too little space.
    #[error(
        "there is no space left in `{}`: {free} were free before stage `{stage}`, and {}",
        folder.display(), wanted(*free, *need)
    )]
    NoSpace {
        /// Where.
        folder: PathBuf,
        /// In which stage that was seen.
        stage: Stage,
        /// How much was free.
        free: Bytes,
        /// How much a small image needs there.
        need: Bytes,
    },
    /// A step failed.
    #[error("the step `{step}` failed")]
    Step {
        /// Its name.
        step: String,
        /// What failed.
        source: Box<WorkspaceError>,
    },
    /// The tree under construction could not be used.
    #[error("could not work on the tree")]
    Workspace(#[source] WorkspaceError),
    /// A bundle, or another archive, cannot be used.
    #[error("could not use the archive of the base")]
    Bundle(#[source] BundleError),
    /// The tree of a disk image cannot be had.
    #[error("could not take the tree of the image `{}`", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        source: Box<ImageTrouble>,
    },
    /// A recipe that another one stands on is none.
    #[error("`{}` is no recipe", path.display())]
    Recipe {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        source: RecipeError,
    },
    /// Recipes stand on one another in a circle.
    #[error("recipes stand on one another in a circle: {}", chain(files))]
    Cycle {
        /// Their files, in order.
        files: Vec<PathBuf>,
    },
    /// An element of the recipe cannot be used.
    #[error("could not use the recipe's elements")]
    Element(#[source] ElementError),
    /// diskimage-builder's elements could not be run.
    #[error("could not build with diskimage-builder's elements")]
    Dib(#[source] RunError),
    /// The recipe has no such step.
    #[error("the recipe has no step `{name}`")]
    NoStep {
        /// The name.
        name: String,
        /// Those that it has.
        steps: Vec<String>,
    },
    /// No step that failed left its tree.
    #[error("{}", nothing_kept(step.as_deref()))]
    NothingKept {
        /// The step that has no layer; `None` if all have.
        step: Option<String>,
    },
    /// The tree has no package manager that is known.
    #[error("the base has no package manager that kiln knows")]
    NoManager,
    /// What the mirrors have is not what the recipe's lock says.
    #[error("{}{}", drifted(package, drift), and_more(*more))]
    Locked {
        /// A package.
        package: String,
        /// How it differs.
        drift: Drift,
        /// How many others differ, too.
        more: usize,
    },
    /// An archive is not the one of the recipe's lock.
    #[error("`{}` has the digest {found}, and is locked to {locked}", path.display())]
    LockedArchive {
        /// The archive.
        path: PathBuf,
        /// Its digest in the lock.
        locked: Digest,
        /// Its digest.
        found: Digest,
    },
    /// The lock is not one of this recipe as it is now.
    #[error("the lock does not fit the recipe: {why}")]
    StaleLock {
        /// Why not.
        why: String,
    },
    /// What a step takes cannot be locked.
    #[error("{what} cannot be locked")]
    Unlockable {
        /// What.
        what: String,
    },
    /// A program of the host failed.
    #[error("stage `{stage}` failed")]
    Tool {
        /// The stage.
        stage: Stage,
        /// What happened.
        source: CmdError,
    },
    /// The tree could not be written to a disk.
    #[error("could not write the tree to a disk")]
    Disk(#[source] AssembleError),
    /// The store could not be used.
    #[error("could not use the store of images")]
    Store(#[source] StoreError),
    /// A lock could not be taken.
    #[error("could not lock the folder of a build")]
    Lock(#[source] LockError),
    /// A file or folder cannot be used.
    #[error("could not {doing} `{}`", path.display())]
    Io {
        /// What was tried: `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Kiln was told to stop.
    #[error("the build was stopped, because kiln was")]
    Interrupted,
}

/// Why the tree of an image cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageTrouble {
    /// It cannot be opened.
    #[error(transparent)]
    Disk(#[from] ImageError),
    /// There is no system on it that Kiln reads itself.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A file of it cannot be read.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

/// How a package differs from a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The mirror has another version.
    Version {
        /// The version of the lock.
        locked: String,
        /// The mirror's.
        found: String,
    },
    /// It is not there any more.
    Gone {
        /// The version of the lock.
        locked: String,
    },
    /// The lock does not have it.
    New {
        /// Its version.
        found: String,
    },
    /// The version is the same, and the file another.
    Content {
        /// The version.
        version: String,
    },
}

fn drifted(package: &str, drift: &Drift) -> String {
    match drift {
        Drift::Version { locked, found } => {
            format!("`{package}` is locked to {locked}, and the mirror has {found}")
        }
        Drift::Gone { locked } => {
            format!("`{package}` is locked to {locked}, and the mirror does not have it")
        }
        Drift::New { found } => format!("`{package}` {found} is not in the lock"),
        Drift::Content { version } => {
            format!("the mirror's `{package}` {version} is not the file that was locked")
        }
    }
}

fn wanted(free: Bytes, need: Bytes) -> String {
    if free < need {
        format!("a build needs at least {need}")
    } else {
        "this one takes more".to_owned()
    }
}

fn nothing_kept(step: Option<&str>) -> String {
    match step {
        None => "no step of the recipe failed: there is no tree to look into".to_owned(),
        Some(step) => format!("the step `{step}` left no tree to look into"),
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(", and {more} more differ") }
}

impl BuildError {
    /// Makes an error of all differences from a lock, if there are any.
    pub(crate) fn of_drift(mut found: Vec<(String, Drift)>) -> Result<(), Self> {
        // A dependency that came along says less than what has changed.
        found.sort_by_key(|(_, drift)| matches!(drift, Drift::New { .. } | Drift::Gone { .. }));
        let more = found.len().saturating_sub(1);
        match found.into_iter().next() {
            Some((package, drift)) => Err(Self::Locked { package, drift, more }),
            None => Ok(()),
        }
    }

    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Arch { wanted, .. } => {
                Some(format!("build it on a host with {wanted} processors"))
            }
            Self::NoSubids { user, .. } => Some(format!(
                "as root: usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 \
                 {user}"
            )),
            Self::NoPackage { packages, .. } => {
                let near: Vec<_> = packages.iter().filter_map(|(_, near)| near.as_ref()).collect();
                (!near.is_empty()).then(|| format!("did you mean {}?", quoted(near)))
            }
            Self::NoSuite { .. } | Self::Mirror { .. } => Some(
                "look at `mirror` and `security` of the recipe's `base`, and at the network".into(),
            ),
            Self::Untrusted { .. } => Some(
                "the packages debian-archive-keyring, ubuntu-keyring and distribution-gpg-keys have \
                 the distributors' keys: install a newer one; the keys of a mirror of your own go into a file that \
                 `keyring` of the `base` names"
                    .into(),
            ),
            Self::NoSpace { .. } => Some("free some space, or name another folder".into()),
            Self::NoKeyring { package, .. } => Some(format!("install the package {package}")),
            Self::NoTimezone { .. } => Some("`timedatectl list-timezones` lists them".into()),
            Self::NoLocale { .. } => {
                Some("`/usr/share/i18n/SUPPORTED` of Debian lists them".into())
            }
            Self::Locked { .. } | Self::LockedArchive { .. } | Self::StaleLock { .. } => Some(
                "`kiln build --lock` builds from what is there today, and writes the lock anew"
                    .into(),
            ),
            Self::Disk(AssembleError::TooSmall { need, .. }) => {
                let whole = Bytes::from_mib(need.0.div_ceil(1 << 20));
                Some(format!("set `disk: {{size: {}MiB}}` in the recipe, or more", whole.0 >> 20))
            }
            Self::NothingKept { step: Some(_) } => {
                Some("a build that fails in one of its programs leaves one: build it first".into())
            }
            Self::Image { source, .. }
                if matches!(**source, ImageTrouble::Guest(GuestError::NeedsAppliance { .. })) =>
            {
                let how = "make a bundle of it, which also reads such images: `kiln bundle create`";
                Some(how.into())
            }
            Self::Store(error) => error.hint(),
            Self::Element(error) | Self::Dib(RunError::Element(error)) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Workspace(error) => error.hint(),
            Self::Step { source, .. } => source.hint(),
            Self::NoStep { name, steps } => {
                let near = yaml::nearest(name, steps.iter().map(String::as_str));
                Some(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", quoted(steps)),
                })
            }
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { doing, path: path.into(), source }
    }

    /// Returns the error that mmdebstrap's failure amounts to: what its output told, if it did.
    pub(crate) fn of_packages(
        source: CmdError,
        stage: Stage,
        finding: Option<Finding>,
        suite: &str,
    ) -> Self {
        match (source, finding) {
            (CmdError::Interrupted { .. }, _) => Self::Interrupted,
            (CmdError::Failed { .. }, Some(finding)) => Self::of_finding(finding, stage, suite),
            (source, _) => Self::Tool { stage, source },
        }
    }

    pub(crate) fn of_finding(finding: Finding, stage: Stage, suite: &str) -> Self {
        match finding {
            Finding::NoPackage(packages) => Self::NoPackage { packages, suite: suite.to_owned() },
            Finding::Unmet(what) => Self::Unmet { what },
            Finding::NoSuite { repository } => Self::NoSuite { repository },
            Finding::Fetch { url, why } => Self::Mirror { url, why },
            Finding::Untrusted(what) => Self::Untrusted { what },
            Finding::NoTimezone(name) => Self::NoTimezone { name },
            Finding::NoLocale(name) => Self::NoLocale { name },
            Finding::Locked(all) => {
                let none = || Self::Unmet { what: "the lock".into() };
                Self::of_drift(all).err().unwrap_or_else(none)
            }
            Finding::NoSpace => {
                Self::NoSpace { folder: PathBuf::new(), stage, free: Bytes(0), need: Bytes(0) }
            }
        }
    }

    /// Returns whether a file system was full.
    pub(crate) fn is_no_space(&self) -> bool {
        let full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let told = match error.downcast_ref::<CmdError>() {
                Some(CmdError::Failed { stderr, .. }) => stderr.contains("No space left on device"),
                _ => false,
            };
            let near = matches!(error.downcast_ref(), Some(SpaceError::NoSpace { .. }));
            if told || near || error.downcast_ref::<io::Error>().is_some_and(|e| full(e.kind())) {
                return true;
            }
            cause = error.source();
        }
        matches!(self, Self::NoSpace { .. })
    }
}

impl From<WorkspaceError> for BuildError {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Interrupted => Self::Interrupted,
            other => Self::Workspace(other),
        }
    }
}

fn chain(files: &[PathBuf]) -> String {
    let shown: Vec<_> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    shown.join(" → ")
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Interrupted => Self::Interrupted,
            other => Self::Store(other),
        }
    }
}

fn host_name(host: Option<Arch>) -> String {
    host.map_or_else(|| "of a kind that kiln does not know".into(), |arch| arch.to_string())
}

fn quoted(words: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
