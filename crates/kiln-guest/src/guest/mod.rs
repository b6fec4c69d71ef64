// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest that is not running: the systems on a disk image, the tree of the one that is chosen,
//! and what is kept of its changes.
//!
//! **Invariant:** the image is hostile: nothing in it leads to a file of the host, and its words
//! (labels, `/etc/fstab`) choose among its own places only.

mod disk;
mod error;
pub(crate) mod fstab;
pub(crate) mod root;

use std::error::Error;
use std::fmt;

use kiln_disk::image::DiskImage;
use kiln_host::causes::in_line;

pub use self::disk::{Disk, Place};
pub use self::error::GuestError;
pub(crate) use self::error::choice;
use self::root::Opener;
pub use self::root::Root;
use crate::backend::direct::DirectTree;
use crate::backend::kernel::Kernel;
use crate::tree::{GuestPath, Time, Tree, TreeError};

/// Where a guest's tree begins, if that is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// At the root of one of several systems, with all that it mounts; the first is 1.
    System(usize),
    /// At the root of this file system: `sda2`. If that is a system's root, it is that system.
    Place(String),
}

/// From a number, or from a name, with `/dev/` or without.
impl From<&str> for Wanted {
    fn from(text: &str) -> Self {
        let place = || Self::Place(text.strip_prefix("/dev/").unwrap_or(text).to_owned());
        text.parse().map_or_else(|_| place(), Self::System)
    }
}

impl Wanted {
    /// Returns the system that has this name, if one has it.
    #[must_use]
    pub fn among(self, roots: &[Root]) -> Self {
        let Self::Place(name) = &self else { return self };
        let found = roots.iter().position(|root| root.name == *name);
        found.map_or(self, |index| Self::System(index + 1))
    }
}

/// How a guest is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether it is to be changed. The image must be open for that.
    pub change: bool,
    /// Which system or file system. `None`: the only one.
    pub root: Option<Wanted>,
    /// The time of changes.
    pub now: Time,
}

/// Something about an open guest that its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A file system cannot be read.
    Unreadable {
        /// Its partition.
        place: String,
        /// Why.
        why: String,
    },
    /// `/etc/fstab` cannot be read, so nothing is mounted.
    NoFstab {
        /// Why.
        why: String,
    },
    /// What is to be mounted is not on this disk.
    Missing {
        /// What: `UUID=…`.
        spec: String,
        /// Where.
        at: GuestPath,
        /// Whether the guest starts without it.
        nofail: bool,
    },
    /// The directory to mount on cannot be found.
    NoMountPoint {
        /// Where.
        at: GuestPath,
        /// Why.
        why: String,
    },
    /// What is mounted here cannot be read; the rest can.
    Closed {
        /// Where.
        at: GuestPath,
        /// Why.
        why: String,
    },
    /// There is no system: the only file system is shown.
    NoSystem {
        /// Its partition.
        place: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { place, why } => write!(f, "`{place}` is left out: {why}"),
            Self::NoFstab { why } => write!(f, "nothing but the root is mounted: {why}"),
            Self::Missing { spec, at, .. } => {
                let spec = spec.escape_debug();
                write!(f, "`{spec}`, to be mounted on `{at}`, is not on this disk")
            }
            Self::NoMountPoint { at, why } => write!(f, "nothing is mounted on `{at}`: {why}"),
            Self::Closed { at, why } => write!(f, "`{at}` cannot be looked into: {why}"),
            Self::NoSystem { place } => {
                write!(f, "there is no system in the image; this is the file system of `{place}`")
            }
        }
    }
}

/// What holds an open guest, and can keep its changes or forget them.
pub trait Backend: fmt::Debug {
    /// Returns what it is, for messages: `appliance`.
    fn name(&self) -> &'static str;

    /// Returns the guest's files.
    fn tree(&mut self) -> &mut dyn Tree;

    /// Returns what is known of the guest.
    fn held(&self) -> &Held;

    /// Brings all changes into the image. Dropped without it, the image stays as it was.
    ///
    /// # Errors
    ///
    /// What it says. The image is as it was then.
    fn commit(self: Box<Self>) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// What is known of a guest that is open.
#[derive(Debug, Default)]
pub struct Held {
    /// What its disk holds.
    pub disk: Option<Disk>,
    /// The systems that can be opened.
    pub roots: Vec<Root>,
    /// Which of them is.
    pub chosen: Option<usize>,
    /// What its user should know.
    pub notes: Vec<Note>,
}

/// A guest that is held here.
#[derive(Debug)]
struct Direct {
    // In this order: the kernel lets go of what is mounted before it of the disk.
    tree: DirectTree,
    kernel: Option<Kernel>,
    image: DiskImage,
    held: Held,
}

#[derive(Debug)]
enum Holder {
    Direct(Box<Direct>),
    Other(Box<dyn Backend>),
}

/// A guest that is open, for looking or for changing.
///
/// Dropped without [`Guest::commit`], its image stays as it was.
#[derive(Debug)]
pub struct Guest {
    holder: Holder,
}

impl Guest {
    /// Opens the system on a disk image, in process: finds its root, and mounts into it what its
    /// `/etc/fstab` says. An image without a system that has one file system shows that.
    ///
    /// What cannot be read in process (XFS, LVM, LUKS …) is shown as closed where it is mounted
    /// if the guest is only looked into.
    ///
    /// # Errors
    ///
    /// - [`GuestError::NeedsAppliance`] if the root, or to be changed anything that it mounts,
    ///   cannot be held in process: see [`Guest::over`].
    /// - [`GuestError::SeveralRoots`], [`GuestError::NoSuchRoot`], [`GuestError::NoSystem`].
    /// - [`GuestError::FileSystem`], [`GuestError::Table`], [`GuestError::Io`].
    pub fn open(image: DiskImage, options: &Options) -> Result<Self, GuestError> {
        Self::open_trusting(image, options, None)
    }

    /// Opens the system on a disk image as [`Guest::open`] does; what cannot be read in process is
    /// mounted by the host's kernel, if there is one to do it. For images that are trusted.
    ///
    /// # Errors
    ///
    /// As [`Guest::open`].
    pub fn open_trusting(
        image: DiskImage,
        options: &Options,
        kernel: Option<Kernel>,
    ) -> Result<Self, GuestError> {
        let mut kernel = kernel;
        let disk = Disk::read(image.device())?;
        let mut notes = Vec::new();
        let mut opener = Opener { disk: &disk, options, kernel: kernel.as_mut() };
        let mut found = root::find(&mut opener, &mut notes)?;
        let roots: Vec<Root> = found.iter().map(|(root, _)| root.clone()).collect();
        let wanted = options.root.clone().map(|wanted| wanted.among(&roots));
        let mut chosen = None;
        let tree = if let Some(Wanted::Place(name)) = &wanted {
            drop(found);
            alone(named(&disk, &opener, name)?, &mut opener)?
        } else {
            chosen = choose(&roots, wanted.as_ref(), (&disk, opener.kernel.is_some()))?;
            if let Some(index) = chosen {
                let (_, mut tree) = found.swap_remove(index);
                // The others are not used: the kernel lets them go.
                drop(found);
                root::mount_all(&mut tree, &mut opener, &mut notes)?;
                tree
            } else {
                let place = only(&disk, &opener, &notes)?;
                notes.push(Note::NoSystem { place: place.name.clone() });
                alone(place, &mut opener)?
            }
        };
        let held = Held { disk: Some(disk), roots, chosen, notes };
        Ok(Self { holder: Holder::Direct(Box::new(Direct { tree, kernel, image, held })) })
    }

    /// Returns a guest that something else holds.
    #[must_use]
    pub fn over(backend: Box<dyn Backend>) -> Self {
        Self { holder: Holder::Other(backend) }
    }

    /// Returns the guest's files.
    pub fn tree(&mut self) -> &mut dyn Tree {
        match &mut self.holder {
            Holder::Direct(direct) => &mut direct.tree,
            Holder::Other(backend) => backend.tree(),
        }
    }

    /// Gives the mounted file system of a partition another UUID; `false` if that cannot be done.
    ///
    /// # Errors
    ///
    /// [`TreeError::ReadOnly`], [`TreeError::Backend`].
    pub fn set_uuid(&mut self, place: &str, uuid: [u8; 16]) -> Result<bool, TreeError> {
        match &mut self.holder {
            Holder::Direct(direct) => direct.tree.set_uuid(place, uuid),
            Holder::Other(_) => Ok(false),
        }
    }

    /// Returns what holds the guest: `direct`, `kernel` or a backend's name.
    #[must_use]
    pub fn held_by(&self) -> &'static str {
        match &self.holder {
            Holder::Direct(direct) if direct.kernel.as_ref().is_some_and(Kernel::is_used) => {
                "kernel"
            }
            Holder::Direct(_) => "direct",
            Holder::Other(backend) => backend.name(),
        }
    }

    fn held(&self) -> &Held {
        match &self.holder {
            Holder::Direct(direct) => &direct.held,
            Holder::Other(backend) => backend.held(),
        }
    }

    /// Returns what the disk holds, if that is known.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        self.held().disk.as_ref()
    }

    /// Returns all systems of the image that can be opened.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.held().roots
    }

    /// Returns the system that is open; `None` if there is none.
    #[must_use]
    pub fn root(&self) -> Option<&Root> {
        let held = self.held();
        held.chosen.and_then(|index| held.roots.get(index))
    }

    /// Returns what its user should know.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.held().notes
    }

    /// Brings all changes into the image, all or none.
    ///
    /// # Errors
    ///
    /// [`GuestError::Finish`], [`GuestError::Commit`], [`GuestError::Backend`]. The image is as it
    /// was then.
    pub fn commit(self) -> Result<(), GuestError> {
        match self.holder {
            Holder::Direct(direct) => {
                let Direct { tree, kernel, mut image, held } = *direct;
                tree.finish().map_err(|source| GuestError::Finish { source })?;
                drop(held);
                if let Some(kernel) = kernel {
                    let done = kernel.finish(&mut image);
                    let failed = |source| GuestError::Backend { backend: "kernel", source };
                    done.map_err(|error| failed(Box::new(error)))?;
                }
                image.commit().map(drop).map_err(|source| GuestError::Commit { source })
            }
            Holder::Other(backend) => {
                let name = backend.name();
                let done = backend.commit();
                done.map_err(|source| GuestError::Backend { backend: name, source })
            }
        }
    }
}

/// Returns which root is wanted; `None` if there is none at all.
fn choose(
    roots: &[Root],
    wanted: Option<&Wanted>,
    (disk, trusted): (&Disk, bool),
) -> Result<Option<usize>, GuestError> {
    let count = roots.len();
    let wanted = match wanted {
        Some(Wanted::System(number)) => Some(*number),
        _ => None,
    };
    let has_files = |place: &&Place| place.content.kind.has_files();
    match wanted {
        Some(wanted) if (1..=count).contains(&wanted) => Ok(Some(wanted - 1)),
        None if count == 0 && trusted && disk.places.iter().filter(has_files).count() == 1 => {
            Ok(None)
        }
        _ if count == 0 && disk.places.iter().any(Place::needs_more) => {
            let found = disk.places.iter().filter(|place| place.needs_more());
            let found: Vec<String> = found
                .map(|place| format!("`{}` holds {}", place.name, place.content.kind))
                .collect();
            Err(GuestError::NeedsAppliance { why: found.join(", ") })
        }
        Some(wanted) => Err(GuestError::NoSuchRoot { wanted, count }),
        None if count > 1 => {
            let roots = (1..).zip(roots).map(|(number, root)| root.shown(number)).collect();
            Err(GuestError::SeveralRoots { roots })
        }
        None => Ok((count == 1).then_some(0)),
    }
}

/// Opens one file system for itself.
fn alone(place: &Place, opener: &mut Opener<'_>) -> Result<DirectTree, GuestError> {
    let part = opener.part(place, None).map_err(|error| match error {
        // What this host's kernel does not know an appliance's may.
        GuestError::FileSystem { source, .. } if place.needs_more() => {
            GuestError::NeedsAppliance { why: in_line(&source) }
        }
        error => error,
    })?;
    Ok(DirectTree::new(part))
}

/// Returns the place of a name, whose files can be read here.
fn named<'a>(disk: &'a Disk, opener: &Opener<'_>, name: &str) -> Result<&'a Place, GuestError> {
    let holds = |place: &Place| format!("`{}` holds {}", place.name, place.content.kind);
    match disk.places.iter().find(|place| place.name == name) {
        Some(place) if opener.can_open(place) => Ok(place),
        Some(place) if place.needs_more() => Err(GuestError::NeedsAppliance { why: holds(place) }),
        // It may be a logical volume.
        None if disk.places.iter().any(Place::needs_more) => {
            Err(GuestError::NeedsAppliance { why: format!("`{name}` is no partition") })
        }
        found => {
            let why = found.map_or_else(|| "it is not there".to_owned(), holds);
            let places = with_files(disk).map(|place| place.name.clone()).collect();
            Err(GuestError::NoSuchPlace { name: name.to_owned(), why, places })
        }
    }
}

fn with_files(disk: &Disk) -> impl Iterator<Item = &Place> {
    disk.places.iter().filter(|place| place.content.kind.has_files())
}

/// Returns the only file system of a disk without a system.
fn only<'a>(disk: &'a Disk, opener: &Opener<'_>, notes: &[Note]) -> Result<&'a Place, GuestError> {
    let direct: Vec<&Place> = disk.places.iter().filter(|place| opener.can_open(place)).collect();
    if let [place] = direct.as_slice() {
        return Ok(*place);
    }
    let mut why = match direct.as_slice() {
        [] => "it has no file system that is known".to_owned(),
        several => {
            let names: Vec<String> = several.iter().map(|p| format!("`{}`", p.name)).collect();
            format!("there are file systems without one on {}", names.join(", "))
        }
    };
    for note in notes {
        why = format!("{why}; {note}");
    }
    let places = direct.iter().map(|place| place.name.clone()).collect();
    let unreadable = notes.iter().any(|note| matches!(note, Note::Unreadable { .. }));
    Err(GuestError::NoSystem { why, places, unreadable })
}
