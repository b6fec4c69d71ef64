// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A copy of a file system in a sparse file, for tools that only work on files; and the way back,
//! of what they changed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use kiln_host::CmdError;
use kiln_spec::Bytes;

use super::ExtError;
use super::raw::Raw;
use crate::device::{Device, RawFile, len64};

/// Bytes that are copied and compared together.
const CHUNK: usize = 1 << 20;
/// Bytes that are left out of the copy if they are zeros, and written back if they differ.
const PAGE: usize = 4096;

/// What a check or a change of size is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The file system is copied to the host: bytes done, and of how many.
    Copy {
        /// Bytes done.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// A tool works on the copy.
    Tool,
    /// What it changed is written back: bytes compared, and of how many.
    WriteBack {
        /// Bytes done.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// Gets what is going on.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);

/// Why a file system could not be checked, mended or changed in size.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TendError {
    /// The copy on the host could not be read or written.
    #[error("could not copy the file system to `{folder}` or back")]
    Copy {
        /// The folder that it was to be in.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// The image could not be read or written.
    #[error("could not read or write the image")]
    Device {
        /// What it said.
        source: io::Error,
    },
    /// A tool failed.
    #[error("could not work on a copy of the file system")]
    Tool {
        /// Which one, and how.
        source: CmdError,
    },
    /// There is no such file system, or it cannot be read.
    #[error("could not read the file system")]
    Read {
        /// Why not.
        source: ExtError,
    },
    /// It must be mended before its size can be changed.
    #[error("the file system is damaged; `kiln image check --repair` mends it")]
    Damaged {
        /// What e2fsck said, for people.
        report: String,
    },
    /// e2fsck could not mend it.
    #[error("the file system could not be mended")]
    Unmendable {
        /// What e2fsck said, for people.
        report: String,
    },
    /// It cannot be made so small.
    #[error("the file system needs {minimum}, and {wanted} were asked for")]
    TooSmall {
        /// The least that it can have.
        minimum: Bytes,
        /// What it was to have.
        wanted: Bytes,
    },
    /// It does not fit where it is.
    #[error("the file system cannot have {wanted} in {room}")]
    TooLarge {
        /// What the partition has.
        room: Bytes,
        /// What it was to have.
        wanted: Bytes,
    },
}

/// The blocks of a file system that are in use, in bytes from its beginning, in order.
pub(in crate::fs) type Used = Vec<Range<u64>>;

/// Returns the range of a whole device.
pub(in crate::fs) fn whole(size: u64) -> Used {
    std::iter::once(0..size).collect()
}

/// Returns the device, and what of it is in use if that can be told.
pub(super) fn used(device: Box<dyn Device>) -> Result<(Box<dyn Device>, Option<Used>), TendError> {
    let (cache, raw) = Raw::open_or_give_back(device);
    let used = raw.and_then(|mut raw| {
        raw.read_bitmaps()?;
        raw.used_bytes()
    });
    let in_use = |_| TendError::Device { source: io::ErrorKind::ResourceBusy.into() };
    let device = Rc::try_unwrap(cache).map_err(in_use)?.into_inner().into_device();
    let size = device.size();
    // A file system that is longer than its device is not to be trusted.
    let used = used.ok().filter(|used| used.last().is_none_or(|last| last.end <= size));
    Ok((device, used))
}

/// A copy in a file without a name in any folder for longer than it lives.
pub(in crate::fs) struct Scratch {
    file: tempfile::NamedTempFile,
    folder: String,
}

impl Scratch {
    /// Copies what is in use of the device, or all of it, to a file in `folder`.
    pub(in crate::fs) fn copy(
        device: &mut dyn Device,
        used: Option<&Used>,
        folder: &Path,
        on: OnProgress<'_>,
    ) -> Result<Self, TendError> {
        let shown = folder.display().to_string();
        let failed = |source| TendError::Copy { folder: shown.clone(), source };
        let file = tempfile::Builder::new().prefix("kiln-fs-").tempfile_in(folder);
        let file = file.map_err(failed)?;
        file.as_file().set_len(device.size()).map_err(failed)?;
        let all = whole(device.size());
        let ranges = used.unwrap_or(&all);
        let total = ranges.iter().map(|range| range.end - range.start).sum();
        let (mut done, mut chunk) = (0, vec![0; CHUNK]);
        for (at, len) in ranges.iter().flat_map(chunks) {
            let part = &mut chunk[..len];
            device.read_at(at, part).map_err(|source| TendError::Device { source })?;
            write_data(file.as_file(), at, part).map_err(failed)?;
            done += len64(part);
            on(Progress::Copy { done, total });
        }
        Ok(Self { file, folder: shown })
    }

    pub(in crate::fs) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Makes the file at least `len` bytes long.
    pub(super) fn lengthen(&self, len: u64) -> Result<(), TendError> {
        let file = self.file.as_file();
        let grown = file.metadata().and_then(|now| file.set_len(now.len().max(len)));
        grown.map_err(|source| self.failed(source))
    }

    /// Returns the file as a device.
    pub(super) fn device(&self) -> Result<Box<dyn Device>, TendError> {
        let device = self.file.reopen().and_then(RawFile::new);
        Ok(Box::new(device.map_err(|source| self.failed(source))?))
    }

    /// Writes to the device what differs of the copy, in these ranges.
    pub(in crate::fs) fn write_back(
        &self,
        device: &mut dyn Device,
        ranges: &[Range<u64>],
        on: OnProgress<'_>,
    ) -> Result<(), TendError> {
        let total = ranges.iter().map(|range| range.end - range.start).sum();
        let mut done = 0;
        let (mut new, mut old) = (vec![0; CHUNK], vec![0; CHUNK]);
        for (at, len) in ranges.iter().flat_map(chunks) {
            let (new, old) = (&mut new[..len], &mut old[..len]);
            let read = self.file.as_file().read_exact_at(new, at);
            read.map_err(|source| self.failed(source))?;
            device.read_at(at, old).map_err(|source| TendError::Device { source })?;
            let mut to = at;
            for (new, old) in new.chunks(PAGE).zip(old.chunks(PAGE)) {
                if new != old {
                    device.write_at(to, new).map_err(|source| TendError::Device { source })?;
                }
                to += len64(new);
            }
            done += len64(new);
            on(Progress::WriteBack { done, total });
        }
        device.flush().map_err(|source| TendError::Device { source })
    }

    fn failed(&self, source: io::Error) -> TendError {
        TendError::Copy { folder: self.folder.clone(), source }
    }
}

/// Returns the parts of a range: where each begins and how long it is.
fn chunks(range: &Range<u64>) -> impl Iterator<Item = (u64, usize)> + use<> {
    let Range { start, end } = *range;
    let step = u64::try_from(CHUNK).expect("a megabyte");
    (0..(end - start).div_ceil(step)).map(move |index| {
        let at = start + index * step;
        (at, usize::try_from((end - at).min(step)).expect("at most a chunk"))
    })
}

/// Writes what is not zeros.
fn write_data(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut start = 0;
    while start < bytes.len() {
        let zero = |page: &[u8]| page.iter().all(|&b| b == 0);
        let rest = &bytes[start..];
        let skip = rest.chunks(PAGE).take_while(|page| zero(page)).map(<[u8]>::len).sum::<usize>();
        let data = rest[skip..].chunks(PAGE).take_while(|page| !zero(page));
        let len = data.map(<[u8]>::len).sum::<usize>();
        start += skip;
        if len > 0 {
            let offset = u64::try_from(start).expect("within a chunk");
            file.write_all_at(&bytes[start..start + len], at + offset)?;
        }
        start += len;
    }
    Ok(())
}
