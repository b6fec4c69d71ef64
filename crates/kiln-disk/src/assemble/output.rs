// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The image while it is made: it gets its name when it is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use kiln_host::Host;
use kiln_host::beside::{Folder, folder_of};
use kiln_host::tools::mke2fs::{self, Ext4};
use kiln_spec::Bytes;

use super::layout::OutputFormat;
use super::plan::Plan;
use super::{AssembleError, Layout};
use crate::convert::target::Target;
use crate::device::{Device, RawFile, SharedDevice, Window};
use crate::format::qcow2::NewQcow2;
use crate::table::gpt::Extent;

/// Bytes that are copied together.
const CHUNK: usize = 1 << 20;

/// The image while it is made. Dropped, nothing is left of it.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    qcow2: Option<NewQcow2>,
    disk: SharedDevice,
    work: Folder,
}

impl Output {
    pub(super) fn create(layout: &Layout) -> Result<Self, AssembleError> {
        Self::new(layout)
            .map_err(|source| AssembleError::Image { path: layout.output.clone(), source })
    }

    fn new(layout: &Layout) -> io::Result<Self> {
        if layout.output.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let target = Target::new(&layout.output)?;
        let Bytes(size) = layout.size;
        let (qcow2, disk) = match layout.format {
            OutputFormat::Raw => {
                target.file().set_len(size)?;
                let raw = RawFile::new(target.file().try_clone()?)?.without_flush();
                (None, SharedDevice::new(raw))
            }
            OutputFormat::Qcow2 => {
                let made = NewQcow2::new(target.file().try_clone()?, size)?;
                (Some(made.clone()), SharedDevice::new(made))
            }
        };
        let work = Folder::beside(folder_of(&layout.output))?;
        Ok(Self { target, qcow2, disk, work })
    }

    /// Returns the disk that a guest will see.
    pub(super) fn disk(&self) -> SharedDevice {
        self.disk.clone()
    }

    /// Returns a folder for files in between, beside the image.
    pub(super) fn work(&self) -> &Path {
        self.work.path()
    }

    /// Makes an empty ext4 file system at a place of the disk, and returns its device.
    pub(super) fn format(
        &self,
        place: Extent,
        make: &Ext4,
        host: &dyn Host,
    ) -> Result<Window<SharedDevice>, AssembleError> {
        let path = self.work.path().join("new.ext4");
        let failed = |source| AssembleError::Image { path: path.clone(), source };
        self.format_file(&path, make, host)?;
        self.place(&path, place)?;
        std::fs::remove_file(&path).map_err(failed)?;
        Window::new(self.disk(), place.start, place.len).map_err(failed)
    }

    /// Makes an empty ext4 file system of its own for a whole tree: it is gone with this value.
    pub(super) fn stage(
        &self,
        layout: &Layout,
        plan: &Plan,
        host: &dyn Host,
    ) -> Result<RawFile, AssembleError> {
        let make = Ext4 { size: layout.size.0, ..plan.ext4(layout) };
        self.format_apart(&self.stage_path(), &make, host)
    }

    /// Returns the file that [`Output::stage`] makes.
    pub(super) fn stage_path(&self) -> PathBuf {
        self.work.path().join("stage.ext4")
    }

    /// Opens what [`Output::stage`] made, filled meanwhile, for reading.
    pub(super) fn staged(&self) -> Result<RawFile, AssembleError> {
        let path = self.stage_path();
        let opened = File::open(&path).and_then(RawFile::new);
        opened.map_err(|source| AssembleError::Image { path, source })
    }

    /// Makes an empty ext4 file system in a file of its own.
    pub(super) fn format_apart(
        &self,
        path: &Path,
        make: &Ext4,
        host: &dyn Host,
    ) -> Result<RawFile, AssembleError> {
        self.format_file(path, make, host)?;
        let file = OpenOptions::new().read(true).write(true).open(path).and_then(RawFile::new);
        let failed = |source| AssembleError::Image { path: path.to_owned(), source };
        Ok(file.map_err(failed)?.without_flush())
    }

    /// Copies the file system in a file to its place on the disk.
    pub(super) fn place(&self, path: &Path, place: Extent) -> Result<(), AssembleError> {
        let failed = |source| AssembleError::Image { path: path.to_owned(), source };
        let to = Window::new(self.disk(), place.start, place.len);
        let mut to = to.map_err(failed)?;
        let mut from = File::open(path).and_then(RawFile::new).map_err(failed)?;
        copy_data(&mut from, &mut to).map_err(failed)
    }

    fn format_file(&self, path: &Path, make: &Ext4, host: &dyn Host) -> Result<(), AssembleError> {
        let empty = File::create_new(path).and_then(|file| file.set_len(make.size));
        empty.map_err(|source| AssembleError::Image { path: path.to_owned(), source })?;
        host.run(&mke2fs::make(path, make)).map_err(|source| AssembleError::Tool { source })?;
        Ok(())
    }

    /// Finishes the image and gives it its name; returns how much space it takes.
    pub(super) fn finish(self, layout: &Layout) -> Result<u64, AssembleError> {
        let failed = |source| AssembleError::Image { path: layout.output.clone(), source };
        if let Some(qcow2) = &self.qcow2 {
            qcow2.finish().map_err(failed)?;
        }
        self.target.publish(layout.durable).map_err(failed)
    }
}

/// Copies what is no hole.
fn copy_data(from: &mut RawFile, to: &mut dyn Device) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let (mut at, size) = (0, from.size());
    while at < size {
        let extent = from.extent(at)?;
        let end = at + extent.len;
        if extent.zeros {
            at = end;
        }
        while at < end {
            let len = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
            from.read_at(at, &mut chunk[..len])?;
            to.write_at(at, &chunk[..len])?;
            at += crate::device::len64(&chunk[..len]);
        }
    }
    Ok(())
}
