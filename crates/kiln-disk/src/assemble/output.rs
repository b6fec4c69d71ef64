// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The image while it is made: it gets its name when it is whole.

use std::io;
use std::path::Path;

use kiln_host::Host;
use kiln_host::tools::mke2fs;
use kiln_spec::Bytes;

use super::layout::OutputFormat;
use super::plan::Plan;
use super::{AssembleError, Layout};
use crate::convert::target::{Target, folder};
use crate::device::{Device, RawFile, SharedDevice, Window};
use crate::format::qcow2::NewQcow2;

/// Bytes that are copied together.
const CHUNK: usize = 1 << 20;

/// The image while it is made. Dropped, nothing is left of it.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    qcow2: Option<NewQcow2>,
    disk: SharedDevice,
    work: tempfile::TempDir,
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
        let beside = folder(&layout.output);
        let work = tempfile::Builder::new().prefix(".kiln-boot-").tempdir_in(beside)?;
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

    /// Makes the empty root file system, and returns its device.
    pub(super) fn format_root(
        &self,
        layout: &Layout,
        plan: &Plan,
        host: &dyn Host,
    ) -> Result<Window<SharedDevice>, AssembleError> {
        let path = self.work.path().join("root.ext4");
        let failed = |source| AssembleError::Image { path: path.clone(), source };
        let empty = std::fs::File::create_new(&path).and_then(|file| file.set_len(plan.root.len));
        empty.map_err(failed)?;
        host.run(&mke2fs::make(&path, &plan.ext4(layout)))
            .map_err(|source| AssembleError::Tool { source })?;
        let to = Window::new(self.disk(), plan.root.start, plan.root.len);
        let mut to = to.map_err(failed)?;
        let copied = std::fs::File::open(&path)
            .and_then(RawFile::new)
            .and_then(|mut from| copy_data(&mut from, &mut to));
        copied.map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        Ok(to)
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
