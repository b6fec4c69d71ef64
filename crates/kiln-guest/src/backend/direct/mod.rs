// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest's tree held by file systems that are read and written in process: no root, no mount,
//! no appliance.
//!
//! **Invariant:** paths are resolved here, name by name, in the guest's own file systems; nothing
//! in this module opens a file of the host.

mod ext;
mod fat;
mod iso;
mod kernel;
mod resolve;
mod tree;
mod volume;

use std::os::fd::OwnedFd;

use kiln_disk::device::{Device, SharedDevice};
use kiln_disk::fs::ext::Access;
use kiln_disk::fs::fat::FatFs;
use kiln_disk::fs::iso9660::IsoFs;

use self::ext::Ext;
use self::fat::Fat;
use self::iso::{Closed, Iso};
use self::kernel::Mounted;
use self::resolve::{At, Last};
use self::volume::{Volume, VolumeError};
use crate::tree::{GuestPath, Kind, Time, TreeError};

/// Why nothing is changed in what was opened for reading.
const READ: &str = "it was opened for reading only";

/// One mounted file system.
#[derive(Debug)]
struct Mount {
    volume: Box<dyn Volume>,
    /// The directory that it lies on; `None` for the root.
    on: Option<At>,
    path: GuestPath,
    source: String,
    /// Why nothing may be changed, if so.
    locked: Option<String>,
}

/// A file system that is ready to be mounted in a [`DirectTree`].
#[derive(Debug)]
pub struct Part {
    volume: Box<dyn Volume>,
    source: String,
    locked: Option<String>,
}

impl Part {
    /// Opens an ext2, ext3 or ext4 file system to be changed. `source` is what the guest would
    /// call its partition; `now` is the time of changes. Nothing is written before something is
    /// changed; one that must not be written to says so then.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`] if it cannot be opened.
    pub fn ext(device: Box<dyn Device>, source: &str, now: Time) -> Result<Self, TreeError> {
        let root = GuestPath::root();
        let ext = Ext::open(SharedDevice::new(device), now.seconds);
        let ext = ext.map_err(|e| failed("open", &root, ext::error(e)))?;
        Ok(Self { volume: Box::new(ext), source: source.to_owned(), locked: None })
    }

    /// Opens an ext2, ext3 or ext4 file system for reading only.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn ext_read(device: Box<dyn Device>, source: &str) -> Result<Self, TreeError> {
        Ok(Self::ext(device, source, Time::default())?.for_reading())
    }

    /// Opens a FAT file system to be changed.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn fat(device: Box<dyn Device>, source: &str, now: Time) -> Result<Self, TreeError> {
        Self::open_fat(device, source, Access::Write { now: now.seconds })
    }

    /// Opens a FAT file system for reading only.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn fat_read(device: Box<dyn Device>, source: &str) -> Result<Self, TreeError> {
        Ok(Self::open_fat(device, source, Access::Read)?.for_reading())
    }

    /// Opens an ISO 9660 file system, which is for reading only.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn iso(device: Box<dyn Device>, source: &str) -> Result<Self, TreeError> {
        let fs = IsoFs::open(device);
        let fs = fs.map_err(|e| failed("open", &GuestPath::root(), iso::error(e)))?;
        Ok(Self { volume: Box::new(Iso::new(fs)), source: source.to_owned(), locked: None })
    }

    /// Returns a file system that the host's kernel holds, whose root is open.
    ///
    /// # Errors
    ///
    /// [`TreeError::Backend`].
    pub fn kernel(root: OwnedFd, source: &str, fs: &str) -> Result<Self, TreeError> {
        let mounted = Mounted::new(root, fs);
        let mounted = mounted.map_err(|e| failed("open", &GuestPath::root(), e))?;
        Ok(Self { volume: Box::new(mounted), source: source.to_owned(), locked: None })
    }

    /// Returns a part that is known to be there and cannot be looked into: each try says `why`.
    #[must_use]
    pub fn closed(source: &str, fs: &str, why: &str) -> Self {
        let closed = Closed { fs: fs.to_owned(), why: why.to_owned() };
        Self { volume: Box::new(closed), source: source.to_owned(), locked: None }
    }

    /// Returns it without a way to change anything in it.
    pub(crate) fn for_reading(self) -> Self {
        Self { locked: Some(READ.to_owned()), ..self }
    }

    fn open_fat(device: Box<dyn Device>, source: &str, access: Access) -> Result<Self, TreeError> {
        let fs = FatFs::open(device, access);
        let fs = fs.map_err(|e| failed("open", &GuestPath::root(), fat::error(e)))?;
        Ok(Self { volume: Box::new(Fat::new(fs)), source: source.to_owned(), locked: None })
    }
}

/// A guest's files, in the file systems that hold them.
///
/// Nothing is on the devices for certain before [`DirectTree::finish`]; a tree that is dropped
/// without it may leave them damaged.
#[derive(Debug)]
pub struct DirectTree {
    /// The root first.
    mounts: Vec<Mount>,
}

impl DirectTree {
    /// Returns the tree of one root file system.
    #[must_use]
    pub fn new(root: Part) -> Self {
        let Part { volume, source, locked } = root;
        let path = GuestPath::root();
        Self { mounts: vec![Mount { volume, on: None, path, source, locked }] }
    }

    /// Returns the tree of an ext2, ext3 or ext4 file system that fills `device`. `now` is the
    /// time of changes.
    ///
    /// # Errors
    ///
    /// As [`Part::ext`].
    pub fn of_ext(device: Box<dyn Device>, now: Time) -> Result<Self, TreeError> {
        Ok(Self::new(Part::ext(device, "sda", now)?))
    }

    /// Returns the tree of an ext2, ext3 or ext4 file system, for reading only.
    ///
    /// # Errors
    ///
    /// As [`Part::ext_read`].
    pub fn of_ext_read(device: Box<dyn Device>) -> Result<Self, TreeError> {
        Ok(Self::new(Part::ext_read(device, "sda")?))
    }

    /// Mounts a file system on a directory of the tree, behind links. What was in the directory
    /// is hidden.
    ///
    /// # Errors
    ///
    /// [`TreeError::NotFound`], [`TreeError::NotADirectory`], [`TreeError::Loop`].
    pub fn mount(&mut self, path: &GuestPath, part: Part) -> Result<(), TreeError> {
        let on = self.need(path, Last::Follow)?;
        if self.kind(on, path)? != Kind::Directory {
            return Err(TreeError::NotADirectory { path: path.clone() });
        }
        let Part { volume, source, locked } = part;
        self.mounts.push(Mount { volume, on: Some(on), path: path.clone(), source, locked });
        Ok(())
    }

    /// Gives the mounted file system of a partition another UUID; `false` if it is not mounted or
    /// cannot have another one.
    ///
    /// # Errors
    ///
    /// [`TreeError::ReadOnly`], [`TreeError::Backend`].
    pub fn set_uuid(&mut self, source: &str, uuid: [u8; 16]) -> Result<bool, TreeError> {
        let mut mounts = self.mounts.iter_mut();
        match mounts.find(|mount| mount.source == source && mount.locked.is_none()) {
            Some(mount) => {
                let done = mount.volume.set_uuid(uuid);
                done.map_err(|error| failed("change the UUID of", &mount.path, error))
            }
            None => Ok(false),
        }
    }

    /// Brings all changes onto the devices and closes the file systems.
    ///
    /// # Errors
    ///
    /// [`TreeError::NoSpace`], [`TreeError::Backend`]. The file systems that come after the one
    /// that failed are not written; those that were may be damaged.
    pub fn finish(self) -> Result<(), TreeError> {
        for mount in self.mounts {
            if mount.locked.is_none() {
                mount.volume.close().map_err(|e| failed("write", &mount.path, e))?;
            }
        }
        Ok(())
    }
}

/// Says of which path it was that a file system failed.
fn failed(what: &'static str, path: &GuestPath, error: VolumeError) -> TreeError {
    let path = path.clone();
    match error {
        VolumeError::Exists => TreeError::Exists { path },
        VolumeError::NotEmpty => TreeError::NotEmpty { path },
        VolumeError::NoSpace => TreeError::NoSpace { path },
        VolumeError::Refused(why) => TreeError::ReadOnly { path, why },
        VolumeError::Contents(source) => TreeError::Contents { path, source },
        VolumeError::Failed(source) => TreeError::Backend { what, path, source },
    }
}
