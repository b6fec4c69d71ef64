// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images in formats that QEMU reads for us: read through its daemon, changed in a copy.
//!
//! Their formats have no write that changes all at once. So the changes go into a copy beside the
//! image, which then takes its place: a kill leaves the old image, and maybe a file `.kiln-copy-…`,
//! which the next change there removes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_host::tools::qemu_storage_daemon::{Access, Node};
use kiln_host::{RealHost, copy};
use tempfile::NamedTempFile;

use super::base::{Base, Kind};
use super::key::{Key, KeyFile};
use super::overlay::Overlay;
use super::{Backing, DiskImage, ImageError, Mode, OpenOptions};
use crate::device::{Device, Extent};
use crate::format::FormatError;
use crate::format::foreign::{Foreign, ForeignFormat};
use crate::format::nbd::{NbdError, Served, serve};

/// An image that a daemon serves for reading.
#[derive(Debug)]
pub(super) struct ForeignFile {
    served: Served,
    found: Foreign,
    path: PathBuf,
    file_size: u64,
    key: Option<Key>,
}

impl ForeignFile {
    /// Opens an image that was found to be one. It is locked by the caller.
    pub(super) fn open(
        path: &Path,
        found: Foreign,
        file_size: u64,
        options: &OpenOptions,
    ) -> Result<Self, ImageError> {
        let name = options.shown.clone().unwrap_or_else(|| path.display().to_string());
        let node = found.node(path, options.backing == Backing::Follow)?;
        if options.mode == Mode::Write
            && (!found.writable || !found.parts.is_empty() || found.parent.is_some())
        {
            return Err(ImageError::NotChanged { name, format: found.format.name() });
        }
        let (served, key) = if found.format.needs_key() {
            let (served, key) = with_a_key(&node, &options.keys, &name)?;
            (served, Some(key))
        } else {
            let failed = |source| match source {
                NbdError::Refused { why, .. } => {
                    let what = format!("QEMU says: {why}");
                    FormatError::Foreign { name: name.clone(), what }.into()
                }
                source => ImageError::Served { name: name.clone(), source },
            };
            (serve(&RealHost, node, Access::Read, &name).map_err(failed)?, None)
        };
        Ok(Self { served, found, path: path.to_owned(), file_size, key })
    }

    /// Returns where QEMU serves the disk.
    pub(super) fn socket(&self) -> PathBuf {
        self.served.socket()
    }

    pub(super) fn format(&self) -> ForeignFormat {
        self.found.format
    }

    pub(super) fn file_size(&self) -> u64 {
        self.file_size
    }
}

impl Device for ForeignFile {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.served.read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.served.write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.served.discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.served.flush()
    }

    fn size(&self) -> u64 {
        self.served.size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        self.served.extent(at)
    }
}

/// Starts a daemon for an encrypted disk with each key in turn, until one opens it.
fn with_a_key(node: &Node, keys: &[Key], name: &str) -> Result<(Served, Key), ImageError> {
    let mut last = None;
    for key in keys {
        match serve_with(node, Some(key), Access::Read, name) {
            Ok(served) => return Ok((served, key.clone())),
            // QEMU does not say by its exit status what was wrong.
            Err(
                error @ ImageError::Served {
                    source: NbdError::Daemon { .. } | NbdError::Refused { .. },
                    ..
                },
            ) => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    let source = last.map(Box::new);
    Err(ImageError::Locked { name: name.to_owned(), source })
}

fn serve_with(
    node: &Node,
    key: Option<&Key>,
    access: Access,
    name: &str,
) -> Result<Served, ImageError> {
    let failed = |source| ImageError::Served { name: name.to_owned(), source };
    // QEMU has read it when it serves the disk.
    let file = key.map(KeyFile::new).transpose();
    let file = file.map_err(|source| failed(NbdError::Folder { source }))?;
    let key = file.as_ref().map(|file| file.path().to_owned());
    serve(&RealHost, Node { key, ..node.clone() }, access, name).map_err(failed)
}

/// Brings the changes of `disk` into a copy of the image, and puts that in its place.
pub(super) fn commit(image: &DiskImage, disk: &mut Overlay<Base>) -> Result<bool, ImageError> {
    let Kind::Foreign(file) = &disk.base().kind else { return Ok(false) };
    let failed = || ImageError::io("write", &image.name);
    // A link stays a link.
    let real = fs::canonicalize(&file.path).map_err(failed())?;
    let found = file.found.clone();
    let made = beside(&real).map_err(failed())?;
    let node = found.node(made.path(), false)?;
    let mut target = serve_with(&node, file.key.as_ref(), Access::Write, &image.name)?;
    apply(disk, &mut target).map_err(failed())?;
    drop(target);
    if image.durable {
        made.as_file().sync_all().map_err(failed())?;
    }
    made.persist(&real).map_err(|error| failed()(error.error))?;
    if image.durable {
        let folder = real.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed())?;
    }
    Ok(true)
}

/// Returns a copy beside the image, with its owner and permissions.
pub(crate) fn beside(real: &Path) -> io::Result<NamedTempFile> {
    let source = File::open(real)?;
    let about = source.metadata()?;
    if !about.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    let made = kiln_host::beside::beside(folder)?;
    let (user, group) =
        (rustix::fs::Uid::from_raw(about.uid()), rustix::fs::Gid::from_raw(about.gid()));
    // Only root gives files away; another's own file has the right owner.
    let _ = rustix::fs::fchown(made.as_file(), Some(user), Some(group));
    made.as_file().set_permissions(about.permissions())?;
    if copy::reflink(&source, made.as_file()).is_err() {
        copy::sparse(&source, made.as_file())?;
    }
    Ok(made)
}

fn apply(disk: &mut Overlay<Base>, target: &mut Served) -> io::Result<()> {
    let mut at = 0;
    while let Some(change) = disk.next_change(at) {
        at = change.at + change.len;
        if change.zeros {
            target.discard(change.at, change.len)?;
            continue;
        }
        let len = usize::try_from(change.len).expect("a run of data has 4 MiB at most");
        let mut bytes = vec![0; len];
        disk.read_at(change.at, &mut bytes)?;
        target.write_at(change.at, &bytes)?;
    }
    target.flush()
}
