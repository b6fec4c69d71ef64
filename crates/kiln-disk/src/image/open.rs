// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opening an image, and what is known of it then.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_host::Tool;
use kiln_host::beside::folder_of;
use kiln_host::image_lock::Holder;
use kiln_spec::Bytes;

use super::base::{Base, Kind};
use super::error::clients_of;
use super::layer::{Layer, Opening};
use super::overlay::Overlay;
use super::redo::{self, Journal, Place};
use super::{ImageError, Key, Location, RbdName, commit, remote};
use crate::device::{Device, SharedDevice, Stoppable};
use crate::format::foreign::ForeignFormat;
use crate::format::medium::Medium;
use crate::format::qcow2::Qcow2Info;

/// What an image is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Reading: writing fails.
    #[default]
    Read,
    /// Trying: writing works and is forgotten in the end. The file is opened for reading.
    Scratch,
    /// Changing: writing works, and [`DiskImage::commit`] keeps it.
    Write,
}

/// The format of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatName {
    /// The bytes of the disk.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// Another, that QEMU reads for us.
    Foreign(ForeignFormat),
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Foreign(format) => format.name(),
        })
    }
}

/// What becomes of an image that needs another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// It is not opened: the name could be that of any file of the host.
    #[default]
    Refuse,
    /// The files that it names are read. For images that are trusted.
    Follow,
}

/// How an image is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What for.
    pub mode: Mode,
    /// What errors and warnings call the file. `None`: its path. For a copy that its user knows
    /// nothing of.
    pub shown: Option<String>,
    /// Its format. `None`: found out from its content, and an error if that is no image. A raw
    /// disk that begins like something else, or is empty, must be named as raw.
    pub format: Option<FormatName>,
    /// Whether files that it names are opened.
    pub backing: Backing,
    /// Whether the format of a backing file is found out from its content if the header does not
    /// tell it. A guest can make a raw disk look like another format.
    pub probe_backing: bool,
    /// Passphrases of encrypted images: each is tried. Without one, an image in the format LUKS is
    /// taken for a raw disk that holds just that.
    pub keys: Vec<Key>,
    /// Where many changes are kept until they are committed. `None`: the image's folder.
    pub overlay_folder: Option<PathBuf>,
    /// Where the journal of a raw image is while changes are committed. `None`: the image's
    /// folder. A disk of the host needs one.
    pub journal_folder: Option<PathBuf>,
    /// Whether a commit does not wait until all is on the disk (fsync(2)). A kill still leaves the
    /// old image or the new one; a loss of power may not. For images that are thrown away then.
    pub skip_sync: bool,
}

/// What is known of an open image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The format of the file that was opened.
    pub format: FormatName,
    /// The size of the disk that a guest sees.
    pub virtual_size: Bytes,
    /// The size of the file.
    pub file_size: Bytes,
    /// What the header says, if it is a qcow2 file.
    pub qcow2: Option<Qcow2Info>,
    /// The files: the one that was opened, its backing file, that one's, and so on.
    pub layers: Vec<Layer>,
}

/// Something about an open image that its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// QEMU found the image damaged and marked it so.
    Corrupt {
        /// The file.
        name: String,
    },
    /// The end of the file is missing. What lies there cannot be read; the rest is right.
    CutOff {
        /// The file.
        name: String,
        /// How much is missing at least.
        missing: Bytes,
    },
    /// Another program may change the image while it is read: what is read may not fit together.
    InUse {
        /// The file.
        name: String,
        /// Who uses it, as far as that can be known.
        holders: Vec<Holder>,
    },
    /// Other clients of a cluster may change the image while it is read.
    Watched {
        /// The image.
        name: String,
        /// Their addresses, as the cluster knows them.
        clients: Vec<String>,
    },
    /// The host cannot tell whether others use it.
    NoLocks {
        /// The file.
        name: String,
    },
    /// A change was interrupted. It is read as if it were finished; opening it for writing
    /// finishes it.
    Unfinished {
        /// The file.
        name: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { name } => write!(f, "`{name}` is marked as corrupt"),
            Self::CutOff { name, missing } => {
                write!(f, "`{name}` is cut off: at least {missing} are missing at its end")?;
                f.write_str("; what is read of it is right, but not all can be read")
            }
            Self::InUse { name, holders } => {
                write!(f, "`{name}` may change while it is read")?;
                if holders.is_empty() {
                    return Ok(());
                }
                write!(f, ": it is in use{}", Holder::list(holders))
            }
            Self::Watched { name, clients } => {
                let clients = clients_of(clients);
                write!(f, "`{name}` may change while it is read: it is in use by {clients}")
            }
            Self::NoLocks { name } if RbdName::is_meant(name) => {
                let (program, package) = (Tool::Rbd.program(), Tool::Rbd.package());
                write!(f, "whether `{name}` is in use cannot be told without `{program}`")?;
                write!(f, " (package {package})")
            }
            Self::NoLocks { name } => {
                write!(f, "`{name}` is where files cannot be locked: others may be changing it")
            }
            Self::Unfinished { name } => {
                write!(f, "a change of `{name}` was interrupted; it is read as if it were finished")
            }
        }
    }
}

/// An open disk image.
///
/// Dropped without [`DiskImage::commit`], the file stays as it was. The file is locked, as QEMU
/// locks it, until this and all devices of it are dropped.
#[derive(Debug)]
pub struct DiskImage {
    pub(super) name: String,
    pub(super) mode: Mode,
    info: Info,
    warnings: Vec<Warning>,
    pub(super) disk: Arc<Mutex<Overlay<Base>>>,
    /// Where the journal of a raw image would be.
    pub(super) journal: Place,
    pub(super) durable: bool,
    #[cfg(test)]
    pub(super) script: Option<crate::format::medium::Script>,
}

impl DiskImage {
    /// Opens the image at `path`.
    ///
    /// With [`Mode::Write`] a change of a raw image that was interrupted is finished first; with
    /// the others it is read as if it were.
    ///
    /// # Errors
    ///
    /// - [`ImageError::Format`] if it is not taken: damaged, another format, needs another file.
    /// - [`ImageError::InUse`] if it is to be changed and another program uses it.
    /// - [`ImageError::Backing`], [`ImageError::BackingFormat`] if a backing file cannot be read.
    /// - [`ImageError::Unfinished`] if an interrupted change of it cannot be finished.
    /// - [`ImageError::NotAFile`] if it has no bytes.
    /// - [`ImageError::Io`] if the host says no.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, ImageError> {
        Self::open_at(&Location::from(path), options)
    }

    /// Opens an image wherever it is: as [`DiskImage::open`] in a file, or in a Ceph cluster, where
    /// it is a raw disk.
    ///
    /// # Errors
    ///
    /// As [`DiskImage::open`]; of a cluster also [`ImageError::Watched`], [`ImageError::Cluster`],
    /// [`ImageError::Served`], [`ImageError::Snapshot`] and [`ImageError::OnlyRaw`].
    pub fn open_at(location: &Location, options: &OpenOptions) -> Result<Self, ImageError> {
        match location {
            Location::File(path) => Self::open_file(path, options),
            Location::Rbd(name) => Self::open_rbd(name, options),
        }
    }

    fn open_file(path: &Path, options: &OpenOptions) -> Result<Self, ImageError> {
        let mut opening = Opening::new(options);
        let name = opening.name(path);
        let mut opened = opening.open(path, &name, options.mode)?;
        let journal = redo::place(path, &opened.file, options.journal_folder.as_deref())
            .map_err(ImageError::io("open", &name))?;
        let unfinished = redo::find(&journal, opened.size, &name)?;
        if options.mode == Mode::Write
            && let Some(unfinished) = &unfinished
        {
            let file = opened.file.try_clone().map_err(ImageError::io("write", &name))?;
            let medium = Medium::new(file, true);
            opened.size = redo::finish(unfinished, (&medium, opened.size), &journal, &name)?;
        }
        let base = opening.base(path, opened, options.format, options.mode)?;
        let folder = folder_of(path).to_owned();
        let Opening { layers, warnings, .. } = opening;
        Self::over((name, base, folder), (layers, warnings), (journal, unfinished), options)
    }

    fn open_rbd(rbd: &RbdName, options: &OpenOptions) -> Result<Self, ImageError> {
        let name = rbd.to_string();
        if !matches!(options.format, None | Some(FormatName::Raw)) {
            return Err(ImageError::OnlyRaw { name });
        }
        let mut warnings = Vec::new();
        let remote = remote::open(rbd, options.mode, &mut warnings)?;
        let journal = remote.journal(options.journal_folder.as_deref());
        let unfinished = redo::find(&journal, remote.size(), &name)?;
        if options.mode == Mode::Write
            && let Some(unfinished) = &unfinished
        {
            redo::finish(unfinished, (&remote.medium(), remote.size()), &journal, &name)?;
        }
        let base = Base::new(Kind::Remote(Box::new(remote)), None);
        let layers = vec![Layer { path: PathBuf::from(&name), format: FormatName::Raw }];
        let folder = PathBuf::from("/var/tmp");
        Self::over((name, base, folder), (layers, warnings), (journal, unfinished), options)
    }

    /// Returns the image that is read by `base`; with what was found out on the way to it.
    fn over(
        (name, base, folder): (String, Base, PathBuf),
        (layers, mut warnings): (Vec<Layer>, Vec<Warning>),
        (journal, unfinished): (Place, Option<Journal>),
        options: &OpenOptions,
    ) -> Result<Self, ImageError> {
        let (file_size, qcow2) = match &base.kind {
            Kind::Qcow2(file) => (file.file_size(), Some(file.info().clone())),
            Kind::Foreign(file) => (file.file_size(), None),
            Kind::Raw(_) | Kind::Remote(_) | Kind::Closed(_) => (base.size(), None),
        };
        let format = match &base.kind {
            Kind::Qcow2(_) => FormatName::Qcow2,
            Kind::Foreign(file) => FormatName::Foreign(file.format()),
            Kind::Raw(_) | Kind::Remote(_) | Kind::Closed(_) => FormatName::Raw,
        };
        let folder = options.overlay_folder.clone().unwrap_or(folder);
        let mut overlay = Overlay::new(base, folder);
        if options.mode != Mode::Write
            && let Some(unfinished) = &unfinished
        {
            redo::overlay(unfinished, &mut overlay).map_err(ImageError::io("read", &name))?;
            warnings.push(Warning::Unfinished { name: name.clone() });
        }
        if options.mode == Mode::Read {
            overlay.forbid_writing();
        }
        let virtual_size = Bytes(overlay.size());
        let file_size = Bytes(file_size);
        let info = Info { format, virtual_size, file_size, qcow2, layers };
        Ok(Self {
            name,
            mode: options.mode,
            info,
            warnings,
            disk: Arc::new(Mutex::new(overlay)),
            journal,
            durable: !options.skip_sync,
            #[cfg(test)]
            script: None,
        })
    }

    /// Returns what is known of the file, as it was when it was opened.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Returns what its user should know.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the disk that a guest would see, with the changes so far. All that this returns
    /// are the same disk. Once a signal asked Kiln to end, it only fails.
    #[must_use]
    pub fn device(&self) -> SharedDevice {
        SharedDevice::new(Stoppable(SharedDevice::from_arc(self.disk.clone())))
    }

    /// Returns the socket where QEMU serves the disk, as it was when it was opened, to this user
    /// and for reading: see [`crate::format::nbd`]. `None` if it is read in process.
    #[must_use]
    pub fn served(&self) -> Option<PathBuf> {
        match &self.disk().base().kind {
            Kind::Foreign(file) => Some(file.socket()),
            Kind::Remote(image) => Some(image.socket.clone()),
            Kind::Raw(_) | Kind::Qcow2(_) | Kind::Closed(_) => None,
        }
    }

    /// Returns whether there is anything to commit.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.disk().is_changed()
    }

    /// Makes the disk `size` bytes long, when it is committed. New bytes are zeros; what is beyond
    /// the new end is lost.
    ///
    /// # Errors
    ///
    /// - [`ImageError::ReadOnly`] if the image was opened for reading.
    /// - [`ImageError::NotChanged`] if it is in a format that QEMU reads for us.
    /// - [`ImageError::Size`] if no disk has that size, or this one's is given by the host.
    /// - [`ImageError::Io`] if a block that is cut cannot be read.
    pub fn resize_virtual(&mut self, size: u64) -> Result<(), ImageError> {
        let name = self.name.clone();
        if self.mode == Mode::Read {
            return Err(ImageError::ReadOnly { name });
        }
        if let FormatName::Foreign(format) = self.info.format {
            return Err(ImageError::NotChanged { name, format: format.name() });
        }
        if size == 0 || !size.is_multiple_of(512) || size > MOST_SIZE || self.journal.is_device {
            return Err(ImageError::Size { name, size: Bytes(size) });
        }
        self.disk().resize(size).map_err(ImageError::io("read", &name))
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Overlay<Base>> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings all changes into the file, all or nothing: a kill, an error or a loss of power at
    /// any moment leaves the old disk or the new one. Returns whether the file changed.
    ///
    /// A qcow2 file is the one or the other at once. A raw image is written in place from a
    /// journal beside it: if that is interrupted, [`DiskImage::open`] finishes it.
    ///
    /// Devices from [`DiskImage::device`] no longer work after this.
    ///
    /// # Errors
    ///
    /// - [`ImageError::ReadOnly`] if the image was not opened for writing.
    /// - [`ImageError::Format`] if the image is damaged or has what changes would damage.
    /// - [`ImageError::Io`] if the host says no.
    pub fn commit(self) -> Result<bool, ImageError> {
        if self.mode != Mode::Write {
            return Err(ImageError::ReadOnly { name: self.name });
        }
        if kiln_host::signal::interrupted() {
            return Err(ImageError::Stopped { name: self.name });
        }
        let mut disk = self.disk();
        let changed = if disk.is_changed() { commit::commit(&self, &mut disk) } else { Ok(false) };
        let size = disk.size();
        disk.base_mut().close(size);
        disk.clear();
        changed
    }
}

/// The most bytes of a disk: 2^63 less a sector, since file offsets have a sign.
const MOST_SIZE: u64 = (1 << 63) - 512;
