// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partitions that the host's own kernel mounts, for images whose maker is trusted: XFS, btrfs and
//! all else that it knows, without an appliance.
//!
//! `qemu-storage-daemon` shows the disk as a file, by FUSE, in a mount namespace of its own: the
//! image below an overlay, which gets all that the kernel writes. A loop device makes each
//! partition of it one of the kernel's. What the overlay holds in the end is brought into the
//! image by [`DiskImage`], all or nothing.
//!
//! **Invariant:** no mount and no name of this is seen by other processes but root's, by way of
//! `/proc`; and all of it goes with this process, however that ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;

use kiln_disk::fs::identify::ContentKind;
use kiln_disk::image::{DiskImage, ImageError, Location};
use kiln_host::kernel_mount::Loop;
use kiln_host::scratch::{Scratch, ScratchError};
use kiln_host::tools::qemu_storage_daemon::{Backing, Node, Source, show};
use kiln_host::{CmdError, Host, Pipe, RealHost};

use super::appliance::ApplianceError;
use super::appliance::overlay;
use crate::guest::Place;

/// The name of the file that shows the disk.
const DISK: &str = "disk";

/// Why the kernel could not hold a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// Only root may mount.
    #[error("only root may have this host's kernel mount an image")]
    NotRoot,
    /// There is no folder for what is changed.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// QEMU does not show the disk as a file.
    #[error("could not show the disk to this host's kernel")]
    Daemon {
        /// What came of it.
        #[from]
        source: CmdError,
    },
    /// The overlay for the changes cannot be used.
    #[error("the overlay for the kernel's changes cannot be used")]
    Overlay {
        /// Why.
        source: Box<ApplianceError>,
    },
    /// A partition cannot be mounted.
    #[error("this host's kernel could not mount `{place}`")]
    Mount {
        /// The partition.
        place: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The host's files.
    #[error("could not {what} for this host's kernel")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The changes could not be brought into the image.
    #[error("the changes could not be written to the image")]
    Image {
        /// Why.
        #[from]
        source: ImageError,
    },
}

/// A disk of a guest, shown to the host's kernel. Dropped, all of it goes, and the image stays as
/// it was.
#[derive(Debug)]
pub struct Kernel {
    // In this order: what uses the file, the file, what shows it, and what that shows.
    loops: Vec<(Place, Loop)>,
    disk: File,
    daemon: BufReader<Pipe>,
    folder: Scratch,
}

impl Kernel {
    /// Shows the disk of an image, which is open, to the kernel. What it writes goes into a folder
    /// below `scratch`.
    ///
    /// # Effects
    ///
    /// Starts a process, which mounts a FUSE file system where nobody else sees it.
    ///
    /// # Errors
    ///
    /// [`KernelError`].
    pub fn start(
        location: &Location,
        image: &DiskImage,
        scratch: &Path,
    ) -> Result<Self, KernelError> {
        if !rustix::process::geteuid().is_root() {
            return Err(KernelError::NotRoot);
        }
        let io = |what| move |source| KernelError::Io { what, source };
        let location = location.absolute().map_err(io("find the image"))?;
        let folder = Scratch::begin(scratch, "kernel")?;
        let below = (&location, image);
        let overlay = overlay::create(&RealHost, below, folder.path()).map_err(of_overlay)?;
        let shown = folder.path().join(DISK);
        File::create_new(&shown).map_err(io("make a file"))?;
        let source = Source::File(overlay);
        let node =
            Node { driver: "qcow2".to_owned(), source, backing: Backing::Unknown, key: None };
        let daemon = RealHost.pipe(&show(&node, &shown), Box::new(|_| ()))?;
        let id = daemon.id();
        let mut daemon = BufReader::new(daemon);
        let mut line = String::new();
        if daemon.read_line(&mut line).map_err(io("start QEMU"))? == 0 {
            daemon.into_inner().finish()?;
            return Err(io("start QEMU")(io::ErrorKind::UnexpectedEof.into()));
        }
        // In the daemon's own namespace there is a mount on it.
        let mut path = format!("/proc/{id}/root").into_bytes();
        path.extend_from_slice(shown.as_os_str().as_encoded_bytes());
        let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&path[..]);
        let disk = File::options().read(true).write(true).open(path);
        let disk = disk.map_err(io("open the disk"))?;
        Ok(Self { loops: Vec::new(), disk, daemon, folder })
    }

    /// Returns whether the kernel has mounted anything.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.loops.is_empty()
    }

    /// Mounts a partition's file system for this process alone: returns its root. `subvolume` is
    /// one of btrfs: the one of this name, or with an empty one what holds them all.
    ///
    /// # Errors
    ///
    /// [`KernelError::Mount`].
    pub fn mount(
        &mut self,
        place: &Place,
        subvolume: Option<&str>,
        change: bool,
    ) -> Result<OwnedFd, KernelError> {
        let failed = |source| KernelError::Mount { place: place.name.clone(), source };
        let kind = match place.content.kind {
            ContentKind::Ntfs => "ntfs3",
            other => other.name(),
        };
        let options: Vec<(&str, Option<&str>)> = match (kind, subvolume) {
            // A copy of one of the host's own has the same number.
            ("xfs", _) => vec![("nouuid", None)],
            ("btrfs", Some("")) => vec![("subvolid", Some("5"))],
            ("btrfs", Some(name)) => vec![("subvol", Some(name))],
            _ => Vec::new(),
        };
        // Two devices with one btrfs would be two halves of it to the kernel.
        let known = self.loops.iter().find(|(known, _)| known.name == place.name);
        if let Some((_, device)) = known {
            return device.mount(kind, &options, !change).map_err(failed);
        }
        let device = Loop::attach(&self.disk, place.start, place.len).map_err(failed)?;
        let root = device.mount(kind, &options, !change).map_err(failed)?;
        self.loops.push((place.clone(), device));
        Ok(root)
    }

    /// Brings what the kernel wrote into the image, which is not committed yet. Nothing that was
    /// mounted is used any more.
    ///
    /// # Errors
    ///
    /// [`KernelError`]: the image is as it was then.
    pub fn finish(self, image: &mut DiskImage) -> Result<(), KernelError> {
        let Self { loops, disk, daemon, folder } = self;
        let io = |what| move |source| KernelError::Io { what, source };
        let mut ranges = Vec::new();
        for (place, device) in loops {
            ranges.push((place.start, place.len));
            device.detach().map_err(io("unmount the guest"))?;
        }
        disk.sync_all().map_err(io("write the changes"))?;
        drop(disk);
        // It ends with all written.
        drop(daemon);
        let mut changes = overlay::read(&RealHost, folder.path()).map_err(of_overlay)?;
        // The overlay has whole clusters: what others have changed beside is not in them.
        changes.keep_within(&ranges);
        overlay::pour(changes, image).map_err(of_overlay)
    }
}

fn of_overlay(source: ApplianceError) -> KernelError {
    KernelError::Overlay { source: Box::new(source) }
}
