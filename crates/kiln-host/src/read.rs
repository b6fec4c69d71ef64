// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading: a file that the user names, bounded and never waiting for somebody to open it; a
//! stream, by whole buffers; and contents with holes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Reads at most `most` bytes of the file at `path`. Pipes are read, too (`<(command)` of a
/// shell); a FIFO that nobody writes to is empty, it is not waited for.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::FileTooLarge`] if there is more.
pub fn bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    // Only the open must not wait; a pipe with a writer is read to its end.
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > most) {
        let what = format!("it has more than {} KiB", most >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// Contents whose holes are known.
pub trait Holes: Read {
    /// Skips the hole that comes next, as far as it is whole units of `unit` bytes; returns how
    /// many bytes that were.
    fn skip_hole(&mut self, unit: u64) -> u64;

    /// Returns how many bytes at least come before the next hole, where all holes are known: what
    /// is none is to be written then, zeros too. `None` if long runs of zeros are to become holes.
    fn before_hole(&mut self) -> Option<u64> {
        None
    }
}

/// Contents whose holes are seen as zeros only.
pub struct Plain<'a>(pub &'a mut dyn Read);

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

impl Read for Plain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Holes for Plain<'_> {
    fn skip_hole(&mut self, _: u64) -> u64 {
        0
    }
}

/// Reads until `buffer` is full or `from` ends; returns how many bytes.
///
/// # Errors
///
/// What `from` says; being interrupted is none.
pub fn full(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match from.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        let error = bounded(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 1024 KiB");
    }

    #[test]
    fn a_fifo_that_nobody_writes_to_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let cwd = rustix::fs::CWD;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(cwd, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(bounded(&path, 10).unwrap(), b"");
    }

    #[test]
    fn a_file_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(bounded(&path, 10).unwrap(), b"0123456789");
    }
}
