// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A block device: what every file system and partition table here is written to.
//!
//! **Invariant:** no device reads or writes past its size; what lies beyond is an
//! [`io::ErrorKind::UnexpectedEof`].

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

/// Something with a fixed size that is read and written at byte offsets.
pub trait Device: Send + fmt::Debug {
    /// Fills `buf` from byte `at` on.
    ///
    /// # Errors
    ///
    /// What the medium says; [`io::ErrorKind::UnexpectedEof`] past the end.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` from byte `at` on.
    ///
    /// # Errors
    ///
    /// As [`Device::read_at`].
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes `len` bytes from `at` on read as zeros, and gives their space back where the medium
    /// can.
    ///
    /// # Errors
    ///
    /// As [`Device::read_at`].
    fn discard(&mut self, at: u64, len: u64) -> io::Result<()>;

    /// Brings everything written so far onto the medium.
    ///
    /// # Errors
    ///
    /// What the medium says.
    fn flush(&mut self) -> io::Result<()>;

    /// Returns the size in bytes.
    fn size(&self) -> u64;

    /// Returns what is known of the bytes from `at` on without reading them: how many are alike,
    /// and whether they are zeros. For copies that skip what is empty.
    ///
    /// A device that does not know says that all up to its end is data. The next extent may be of
    /// the same sort.
    ///
    /// # Errors
    ///
    /// As [`Device::read_at`], with [`io::ErrorKind::UnexpectedEof`] if no byte is left at `at`.
    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.size(), at, 1)?;
        Ok(Extent { len: self.size() - at, zeros: false })
    }
}

/// A run of bytes that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How many bytes; at least one.
    pub len: u64,
    /// Whether they are known to be zeros. Data may turn out to be zeros, too.
    pub zeros: bool,
}

impl<D: Device + ?Sized> Device for &mut D {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        (**self).discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn size(&self) -> u64 {
        (**self).size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        (**self).extent(at)
    }
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        (**self).discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn size(&self) -> u64 {
        (**self).size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        (**self).extent(at)
    }
}

/// Returns an error unless `len` bytes from `at` on lie within `size`.
pub(crate) fn within(size: u64, at: u64, len: u64) -> io::Result<()> {
    if at.checked_add(len).is_some_and(|end| end <= size) {
        return Ok(());
    }
    let text = format!("bytes {at} to {} of a device of {size}", at.saturating_add(len));
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
}

/// Returns the length of a slice as a file offset.
pub(crate) fn len64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a slice is shorter than 2^64 bytes")
}

/// A raw image: a file whose bytes are the device's.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    size: u64,
    durable: bool,
}

impl RawFile {
    /// Returns the device whose bytes are those of `file`, as long as the file is now.
    ///
    /// # Errors
    ///
    /// What fstat(2) says.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size, durable: true })
    }

    /// Returns the device whose bytes are the first `size` of `file`: for a disk of the host, whose
    /// length fstat(2) does not tell.
    #[must_use]
    pub fn with_size(file: File, size: u64) -> Self {
        Self { file, size, durable: true }
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes [`Device::flush`] do nothing: for an image that is thrown away if it is not
    /// finished.
    #[must_use]
    pub fn without_flush(self) -> Self {
        Self { durable: false, ..self }
    }
}

impl Device for RawFile {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        within(self.size, at, len64(buf))?;
        self.file.read_exact_at(buf, at)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        within(self.size, at, len64(bytes))?;
        self.file.write_all_at(bytes, at)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        within(self.size, at, len)?;
        if len == 0 {
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, hole, at, len) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(&self.file, at, len),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.durable { self.file.sync_data() } else { Ok(()) }
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.size, at, 1)?;
        let rest = self.size - at;
        let data = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) => data.clamp(at, self.size),
            Err(Errno::NXIO) => return Ok(Extent { len: rest, zeros: true }),
            // A medium without holes, such as a disk.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Extent { len: rest, zeros: false }),
            Err(error) => return Err(error.into()),
        };
        if data > at {
            return Ok(Extent { len: data - at, zeros: true });
        }
        let hole = rustix::fs::seek(&self.file, SeekFrom::Hole(at))?.min(self.size);
        Ok(Extent { len: hole.saturating_sub(at).max(1), zeros: false })
    }
}

/// Writes zeros, for a host file system that cannot make holes.
pub(crate) fn write_zeros(file: &File, mut at: u64, len: u64) -> io::Result<()> {
    let zeros = vec![0; usize::try_from(len).map_or(1 << 20, |len| len.min(1 << 20))];
    let end = at + len;
    while at < end {
        let part = usize::try_from(end - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all_at(&zeros[..part], at)?;
        at += len64(&zeros[..part]);
    }
    Ok(())
}

/// A part of another device, such as a partition.
#[derive(Debug)]
pub struct Window<D> {
    device: D,
    start: u64,
    len: u64,
}

impl<D: Device> Window<D> {
    /// Returns the `len` bytes of `device` from `start` on, as a device.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if `device` is smaller than that.
    pub fn new(device: D, start: u64, len: u64) -> io::Result<Self> {
        within(device.size(), start, len)?;
        Ok(Self { device, start, len })
    }
}

impl<D: Device> Device for Window<D> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        within(self.len, at, len64(buf))?;
        self.device.read_at(self.start + at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        within(self.len, at, len64(bytes))?;
        self.device.write_at(self.start + at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        within(self.len, at, len)?;
        self.device.discard(self.start + at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }

    fn size(&self) -> u64 {
        self.len
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.len, at, 1)?;
        let found = self.device.extent(self.start + at)?;
        Ok(Extent { len: found.len.min(self.len - at), ..found })
    }
}

/// One device in several hands: each clone reads and writes the same.
///
/// Each call has the device for itself; nothing is held between calls.
#[derive(Clone)]
pub struct SharedDevice {
    device: Arc<Mutex<dyn Device>>,
}

impl fmt::Debug for SharedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDevice").finish_non_exhaustive()
    }
}

impl SharedDevice {
    /// Returns `device`, to be cloned.
    pub fn new(device: impl Device + 'static) -> Self {
        Self { device: Arc::new(Mutex::new(device)) }
    }

    /// Returns the device that others have, too.
    #[must_use]
    pub fn from_arc(device: Arc<Mutex<dyn Device>>) -> Self {
        Self { device }
    }

    fn lock(&self) -> MutexGuard<'_, dyn Device + 'static> {
        // A panic of another thread does not make a device's bytes worse than they are.
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for SharedDevice {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.lock().write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.lock().discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }

    fn size(&self) -> u64 {
        self.lock().size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        self.lock().extent(at)
    }
}

/// A device that fails once a signal asked Kiln to end: what works on it ends by its own error.
#[derive(Debug)]
pub(crate) struct Stoppable<D>(pub(crate) D);

fn go_on() -> io::Result<()> {
    // Not `Interrupted`, after which readers try again.
    let stopped = || io::Error::other("stopped by a signal");
    if kiln_host::signal::interrupted() { Err(stopped()) } else { Ok(()) }
}

impl<D: Device> Device for Stoppable<D> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        go_on()?;
        self.0.read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        go_on()?;
        self.0.write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        go_on()?;
        self.0.discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        go_on()?;
        self.0.flush()
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        go_on()?;
        self.0.extent(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(size: u64) -> RawFile {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        RawFile::new(file).unwrap()
    }

    #[test]
    fn a_window_ends_where_it_was_told_to() {
        let mut window = Window::new(device(4096), 1024, 512).unwrap();
        window.write_at(508, b"last").unwrap();
        let error = window.write_at(509, b"last").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), "bytes 509 to 513 of a device of 512");
        let mut got = [0; 4];
        window.device.read_at(1532, &mut got).unwrap();
        assert_eq!(&got, b"last");
        assert!(Window::new(device(4096), 4000, 97).is_err());
        assert!(Window::new(device(4096), u64::MAX, 2).is_err());
    }

    #[test]
    fn discarded_bytes_read_as_zeros() {
        let mut raw = device(1 << 20);
        raw.write_at(0, &[7; 8192]).unwrap();
        raw.discard(4096, 4096).unwrap();
        let mut got = [1; 8192];
        raw.read_at(0, &mut got).unwrap();
        assert!(got[..4096].iter().all(|&b| b == 7) && got[4096..].iter().all(|&b| b == 0));
        assert_eq!(raw.size(), 1 << 20);
    }

    #[test]
    fn holes_are_told_without_reading() {
        let mut raw = device(1 << 20);
        raw.write_at(512 << 10, &[7; 4096]).unwrap();
        assert_eq!(raw.extent(0).unwrap(), Extent { len: 512 << 10, zeros: true });
        assert_eq!(raw.extent(512 << 10).unwrap(), Extent { len: 4096, zeros: false });
        assert_eq!(raw.extent((1 << 20) - 1).unwrap(), Extent { len: 1, zeros: true });
        assert_eq!(raw.extent(1 << 20).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut window = Window::new(raw, 1 << 19, 2048).unwrap();
        assert_eq!(window.extent(1).unwrap(), Extent { len: 2047, zeros: false });
    }

    #[test]
    fn all_hands_of_a_shared_device_see_what_one_writes() {
        let mut one = SharedDevice::new(device(4096));
        let mut other = one.clone();
        one.write_at(1, b"x").unwrap();
        let mut got = [0; 2];
        other.read_at(0, &mut got).unwrap();
        assert_eq!((&got, other.size()), (b"\0x", 4096));
    }
}
