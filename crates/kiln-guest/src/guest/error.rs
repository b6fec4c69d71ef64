// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a guest could not be opened or kept.

use std::error::Error;
use std::io;

use kiln_disk::image::ImageError;

use crate::tree::TreeError;

/// Why a guest could not be opened or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The disk cannot be read.
    #[error("cannot read the guest's disk")]
    Io {
        /// What it said.
        source: io::Error,
    },
    /// The partition table is damaged.
    #[error("the guest's partition table is damaged")]
    Table {
        /// How.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There are files that cannot be read or changed in process: something else must hold the
    /// tree, see [`super::Guest::over`].
    #[error("the guest cannot be opened in process: {why}")]
    NeedsAppliance {
        /// What stands against it.
        why: String,
    },
    /// There is no system, and no single file system to be taken for the whole.
    #[error("there is no system in the image: {why}")]
    NoSystem {
        /// What there is instead.
        why: String,
        /// File systems that can be chosen.
        places: Vec<String>,
        /// Whether there are others that cannot be read, and may hold one.
        unreadable: bool,
    },
    /// The file system that was chosen is not there, or none.
    #[error("there is no file system `{name}` to be chosen: {why}")]
    NoSuchPlace {
        /// What was chosen.
        name: String,
        /// Why not.
        why: String,
        /// File systems that can be chosen.
        places: Vec<String>,
    },
    /// There are several systems, and none was chosen.
    #[error("there are several systems in the image: {}", roots.join("; "))]
    SeveralRoots {
        /// What they are, in their order: `1: sda2, Debian GNU/Linux 12`.
        roots: Vec<String>,
    },
    /// The one that was chosen is not there.
    #[error("there is no system {wanted} in the image, which has {count}")]
    NoSuchRoot {
        /// The number that was chosen; the first is 1.
        wanted: usize,
        /// How many there are.
        count: usize,
    },
    /// Its file system cannot be opened.
    #[error("cannot open the file system of `{place}`")]
    FileSystem {
        /// Its partition.
        place: String,
        /// Why.
        source: TreeError,
    },
    /// The changes could not be brought into the file systems. The image is as it was.
    #[error("the changes could not be written to the guest's file systems")]
    Finish {
        /// Why.
        source: TreeError,
    },
    /// The changes could not be brought into the image.
    #[error("the changes could not be written to the image")]
    Commit {
        /// Why.
        source: ImageError,
    },
    /// What holds the guest failed.
    #[error("the {backend} that holds the guest failed")]
    Backend {
        /// Which.
        backend: &'static str,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl GuestError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::SeveralRoots { .. } => Some("choose one with `--root NUMBER`".to_owned()),
            Self::NoSystem { unreadable: true, .. } => {
                Some("`kiln image check` tells whether the file systems are in order".to_owned())
            }
            Self::NoSystem { places, .. } | Self::NoSuchPlace { places, .. } => choice(places),
            Self::Commit { source } => source.hint(),
            _ => None,
        }
    }
}

/// Returns how to choose a file system, if there is one.
pub(crate) fn choice(places: &[String]) -> Option<String> {
    let [first, ..] = places else { return None };
    Some(format!(
        "choose a file system by its name: `--root {first}`; `kiln image inspect` shows all"
    ))
}
