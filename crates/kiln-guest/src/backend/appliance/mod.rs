// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's tree held by a libguestfs appliance: XFS, btrfs, NTFS, LVM, LUKS, mdraid, and all
//! else that Linux can mount, without a driver of the host's kernel seeing a byte of it.
//!
//! One appliance serves all operations of a command. It sees the image below an overlay of QEMU's;
//! what that holds in the end is brought into the image by [`DiskImage`], all or nothing.
//!
//! **Invariant:** the image itself is only read while the appliance runs, and [`DiskImage`] holds
//! its locks all the time: QEMU takes none of it.

mod ahead;
mod answer;
mod arrays;
mod error;
mod look;
mod mount;
mod names;
pub(super) mod overlay;
mod tree;

use std::error::Error;
use std::path::PathBuf;

use kiln_disk::fs::identify::ContentKind;
pub use kiln_disk::image::Key;
use kiln_disk::image::{DiskImage, Location, Mode, OpenOptions, Warning};
use kiln_host::RealHost;
use kiln_host::scratch::Scratch;
use kiln_host::tools::guestfish::{Fish, Session, Word, host};

pub use self::error::ApplianceError;
use self::mount::{Found, System};
use self::names::Names;
pub use self::tree::ApplianceTree;
use crate::guest::{Backend, Disk, Held, Note, Place, Root, Wanted};
use crate::tree::Tree;

/// Why something is left out.
const LOCKED: &str = "it is encrypted, and no key opens it";
const INCOMPLETE: &str = "it belongs to an array of which too much is not in this image";

/// How an appliance holds a guest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it is started.
    pub fish: Fish,
    /// An existing folder of the host for what is read and changed. On it there is room for all
    /// changes.
    pub scratch: PathBuf,
    /// How the image is opened. Not for reading means that the guest can be changed. Its
    /// passphrases are tried on each encrypted partition, too.
    pub image: OpenOptions,
}

/// A guest that an appliance holds. Dropped without [`Appliance::commit`], its image stays as it
/// was.
#[derive(Debug)]
pub struct Appliance {
    tree: ApplianceTree,
    found: Found,
    held: Held,
    mode: Mode,
    image: DiskImage,
}

impl Backend for Appliance {
    fn name(&self) -> &'static str {
        "appliance"
    }

    fn tree(&mut self) -> &mut dyn Tree {
        &mut self.tree
    }

    fn held(&self) -> &Held {
        &self.held
    }

    fn commit(self: Box<Self>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(Self::commit(*self)?)
    }
}

impl Appliance {
    /// Starts an appliance on an image and finds the systems on it. None is mounted:
    /// [`Appliance::choose`] does that. `starting` is called once it is known that one is worth
    /// the time.
    ///
    /// # Effects
    ///
    /// Locks the image, and starts QEMU, which takes seconds, without KVM up to minutes. The image
    /// is not changed.
    ///
    /// # Errors
    ///
    /// [`ApplianceError::Image`] if the image cannot be opened, or names files that it may not;
    /// [`ApplianceError::Fish`] if the appliance does not do its part;
    /// [`ApplianceError::Locked`] if there is nothing but what no key opens;
    /// [`ApplianceError::Incomplete`] if there is nothing but parts of an array.
    pub fn start(
        image: &Location,
        settings: &Settings,
        starting: &mut dyn FnMut(),
    ) -> Result<Self, ApplianceError> {
        let io = |what| move |source| ApplianceError::Io { what, source };
        let image = image.absolute().map_err(io("find the image"))?;
        // Checked here for all that could lead QEMU to other files.
        let opened = DiskImage::open_at(&image, &settings.image)?;
        let mode = settings.image.mode;
        if opened.warnings().iter().any(|warning| matches!(warning, Warning::Unfinished { .. })) {
            return Err(ApplianceError::Unfinished);
        }
        let disk = Disk::read(opened.device())
            .map_err(|source| ApplianceError::Disk { source: Box::new(source) })?;
        if settings.image.keys.is_empty() {
            only_locked(&disk)?;
        }
        starting();
        let folder = Scratch::begin(&settings.scratch, "appliance")?;
        let changes = overlay::create(&RealHost, (&image, &opened), folder.path())?;
        let word = uuid::Uuid::new_v4().simple().to_string();
        let mut session = Session::start(&settings.fish, word)?;
        // Nothing of the overlay is wanted after a fall of the host.
        let words = [host(&changes), Word::Plain("format:qcow2"), Word::Plain("cachemode:unsafe")];
        session.call("add-drive", &words)?;
        session.launch()?;
        session.call("umask", &[Word::Plain("0")])?;
        let names = Names::ask(&mut session)?;
        let keys = &settings.image.keys;
        let waiting = arrays::start(&mut session, &disk)?;
        let closed = mount::open_disks(&mut session, (&disk, &names), keys)?;
        let mut tree = ApplianceTree::new(session, names, folder);
        let mut found = mount::find(&mut tree)?;
        if found.roots.is_empty() && found.others.len() != 1 && !closed.is_empty() {
            return Err(ApplianceError::Locked { places: closed });
        }
        if found.roots.is_empty() && found.others.is_empty() && !waiting.is_empty() {
            return Err(ApplianceError::Incomplete { places: waiting });
        }
        let left_out = |place, why: &str| Note::Unreadable { place, why: why.to_owned() };
        let locked = closed.into_iter().map(|place| left_out(place, LOCKED));
        let waiting = waiting.into_iter().map(|place| left_out(place, INCOMPLETE));
        found.notes.extend(locked.chain(waiting));
        let roots = found.roots.iter().map(|(root, _)| root.clone()).collect();
        let held = Held { disk: Some(disk), roots, chosen: None, notes: found.notes.clone() };
        Ok(Self { tree, found, held, mode, image: opened })
    }

    /// Mounts a system with all that its `/etc/fstab` mounts, or a file system: the one that is
    /// wanted, or the only system; where there is none, the only file system. One that was mounted
    /// before no longer is.
    ///
    /// # Errors
    ///
    /// [`ApplianceError::NoSystem`], [`ApplianceError::SeveralRoots`],
    /// [`ApplianceError::NoSuchRoot`], [`ApplianceError::NoSuchPlace`]; [`ApplianceError::Mount`] if something cannot be mounted
    /// that is to be changed; [`ApplianceError::Fish`].
    pub fn choose(&mut self, wanted: Option<&Wanted>) -> Result<(), ApplianceError> {
        let (chosen, system) = self.wanted(wanted)?;
        let change = self.mode != Mode::Read;
        let Some(disk) = &self.held.disk else {
            unreachable!("an appliance has its disk until it is committed")
        };
        let notes = mount::all(&mut self.tree, disk, (&system, change))?;
        self.held.notes.clone_from(&self.found.notes);
        if chosen.is_none() && wanted.is_none() {
            self.held.notes.push(Note::NoSystem { place: system.name.clone() });
        }
        self.held.notes.extend(notes);
        self.held.chosen = chosen;
        Ok(())
    }

    fn wanted(&self, wanted: Option<&Wanted>) -> Result<(Option<usize>, System), ApplianceError> {
        let Found { roots, others, all, .. } = &self.found;
        let count = roots.len();
        let number = match wanted.cloned().map(|wanted| wanted.among(&self.held.roots)) {
            None => None,
            Some(Wanted::System(number)) => Some(number),
            Some(Wanted::Place(name)) => return Ok((None, self.place(name)?)),
        };
        match (number, roots.as_slice(), others.as_slice()) {
            (Some(number), ..) if (1..=count).contains(&number) => {
                Ok((Some(number - 1), roots[number - 1].1.clone()))
            }
            (Some(wanted), ..) => Err(ApplianceError::NoSuchRoot { wanted, count }),
            (None, [(_, system)], _) => Ok((Some(0), system.clone())),
            (None, [], [system]) => Ok((None, system.clone())),
            (None, [], _) => {
                let shown = |system: &System| format!("`{}` ({})", system.name, system.kind);
                let found: Vec<String> = all.iter().map(shown).collect();
                let places = others.iter().map(|system| system.name.clone()).collect();
                Err(ApplianceError::NoSystem { found: found.join(", "), places })
            }
            (None, ..) => {
                let shown = (1..).zip(roots).map(|(number, (root, _))| root.shown(number));
                Err(ApplianceError::SeveralRoots { roots: shown.collect() })
            }
        }
    }

    /// Returns the file system of a name.
    fn place(&self, name: String) -> Result<System, ApplianceError> {
        let others = &self.found.others;
        others.iter().find(|system| system.name == name).cloned().ok_or_else(|| {
            let places = others.iter().map(|system| system.name.clone()).collect();
            ApplianceError::NoSuchPlace { name, places }
        })
    }

    /// Returns the systems that can be chosen.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.held.roots
    }

    /// Returns the system that is mounted, if one is.
    #[must_use]
    pub fn root(&self) -> Option<&Root> {
        self.held.chosen.and_then(|index| self.held.roots.get(index))
    }

    /// Returns the guest's files.
    pub fn tree(&mut self) -> &mut ApplianceTree {
        &mut self.tree
    }

    /// Returns what its user should know.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.held.notes
    }

    /// Ends the appliance and brings all changes into the image.
    ///
    /// # Errors
    ///
    /// [`ApplianceError`]; the image is then as it was.
    pub fn commit(mut self) -> Result<(), ApplianceError> {
        if let Some(disk) = &self.held.disk {
            self.tree.unmount()?;
            arrays::rest(&mut self.tree.session, disk)?;
        }
        let folder = self.tree.finish()?;
        let changes = overlay::read(&RealHost, folder.path())?;
        self.held.disk = None;
        overlay::pour(changes, &mut self.image)?;
        self.image.commit()?;
        Ok(())
    }
}

/// Returns an error if all that is on a disk is encrypted: without a key no appliance finds more.
fn only_locked(disk: &Disk) -> Result<(), ApplianceError> {
    let filled = || disk.places.iter().filter(|place| place.needs_more() || place.is_direct());
    let is_luks = |place: &Place| matches!(place.content.kind, ContentKind::Luks { .. });
    if filled().next().is_none() || !filled().all(is_luks) {
        return Ok(());
    }
    Err(ApplianceError::Locked { places: filled().map(|place| place.name.clone()).collect() })
}
