// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an appliance could not hold a guest.

use std::io;

use kiln_disk::image::ImageError;
use kiln_host::CmdError;
use kiln_host::scratch::ScratchError;
use kiln_host::tools::guestfish::FishError;

use crate::guest::{GuestError, choice};
use crate::tree::GuestPath;

/// Why an appliance could not hold a guest, or its changes not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplianceError {
    /// The image cannot be opened or changed.
    #[error("the appliance's image cannot be used")]
    Image {
        /// Why.
        #[from]
        source: ImageError,
    },
    /// There is no folder for what is read and changed.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Its partitions cannot be read.
    #[error("the appliance's image cannot be looked into")]
    Disk {
        /// Why.
        source: Box<GuestError>,
    },
    /// An interrupted change of the image is to be finished first, which QEMU knows nothing of.
    #[error("a change of the image was interrupted, and it is not opened for writing")]
    Unfinished,
    /// QEMU cannot be told where it is.
    #[error("the path `{path}` is no text, which QEMU needs")]
    Name {
        /// The image's path.
        path: String,
    },
    /// The appliance did not do its part.
    #[error("the appliance failed")]
    Fish {
        /// What it said.
        #[from]
        source: FishError,
    },
    /// `qemu-img` failed.
    #[error("the overlay for the appliance's changes cannot be used")]
    Overlay {
        /// What it said.
        #[from]
        source: CmdError,
    },
    /// The host's files.
    #[error("cannot {what} for the appliance")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is no system on the image, and no single file system.
    #[error("the appliance finds no system in the image: {found}")]
    NoSystem {
        /// What it finds.
        found: String,
        /// File systems that can be chosen.
        places: Vec<String>,
    },
    /// The file system that was chosen is not there.
    #[error("the appliance finds no file system `{name}` in the image")]
    NoSuchPlace {
        /// What was chosen.
        name: String,
        /// File systems that can be chosen.
        places: Vec<String>,
    },
    /// There is no system, but something that is encrypted.
    #[error("{} is encrypted, and no key opens it", list(places))]
    Locked {
        /// What is encrypted.
        places: Vec<String>,
    },
    /// There is no file system, but parts of an array that cannot do without the others.
    #[error(
        "{} belongs to an array of which too much is not in the image: it cannot be started",
        list(places)
    )]
    Incomplete {
        /// What belongs to it.
        places: Vec<String>,
    },
    /// There are several, and none was chosen.
    #[error("there are several systems in the image: {}", roots.join("; "))]
    SeveralRoots {
        /// What they are, in their order.
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
    /// What a guest that is to be changed mounts cannot be mounted.
    #[error("`{spec}` cannot be mounted on `{at}`: {why}")]
    Mount {
        /// What: `UUID=…`.
        spec: String,
        /// Where.
        at: GuestPath,
        /// What the appliance said.
        why: String,
    },
}

impl ApplianceError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Locked { .. } => {
                "name a file with its passphrase by `--key-file FILE`".to_owned()
            }
            Self::SeveralRoots { .. } => "choose one with `--root NUMBER`".to_owned(),
            Self::NoSystem { places, .. } | Self::NoSuchPlace { places, .. } => {
                return choice(places);
            }
            Self::Fish { source: FishError::Refused { command, .. } } if command == "run" => {
                "the appliance did not start: `kiln doctor` looks for what it needs, \
                 `libguestfs-test-tool` tells more"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

fn list(places: &[String]) -> String {
    let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
    places.join(", ")
}
