// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The step that takes the tree of a disk image: read in process, and written straight into the
//! layer.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;

use kiln_disk::image::{DiskImage, Mode, OpenOptions};
use kiln_guest::guest::{Guest, Options};
use kiln_guest::transfer::{TransferError, tar_out};
use kiln_guest::tree::{GuestPath, Time};

use crate::BuildError;
use crate::error::ImageTrouble;
use crate::workspace::Workspace;

/// Bytes that are gathered before they are handed on.
const BUFFER: usize = 256 << 10;

/// Takes the tree of the image in the file `path`, which is only read.
pub(super) fn take(
    path: &Path,
    epoch: u64,
    workspace: &mut Workspace<'_>,
) -> Result<(), BuildError> {
    let wrong = |source| BuildError::Image { path: path.to_owned(), source: Box::new(source) };
    let (mut from, to) = io::pipe().map_err(|error| BuildError::io("read", path, error))?;
    let (read, unpacked) = thread::scope(|scope| {
        let read = scope.spawn(move || read(path, epoch, to));
        let unpacked = workspace.unpack(&mut from, "/");
        drop(from);
        (read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), unpacked)
    });
    match read {
        // The other side has gone, and says why.
        Err(ImageTrouble::Transfer(TransferError::Archive { .. })) => {}
        Err(error) => return Err(wrong(error)),
        Ok(()) => {}
    }
    unpacked.map_err(BuildError::from)
}

fn read(path: &Path, epoch: u64, to: impl Write) -> Result<(), ImageTrouble> {
    let disk = DiskImage::open(path, &OpenOptions { mode: Mode::Read, ..OpenOptions::default() })?;
    let now = Time { seconds: i64::try_from(epoch).unwrap_or(i64::MAX), nanos: 0 };
    let mut guest: Guest = Guest::open(disk, &Options { change: false, root: None, now })?;
    let mut to = BufWriter::with_capacity(BUFFER, to);
    tar_out(guest.tree(), &GuestPath::root(), &mut to)?;
    to.flush().map_err(|source| TransferError::Archive { source })?;
    Ok(())
}
