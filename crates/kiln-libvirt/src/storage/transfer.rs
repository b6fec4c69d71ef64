// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bytes to and from volumes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::SeekFrom as Offset;
use rustix::io::Errno;
use virt_sys as sys;

use super::Volume;
use crate::error::{Attempt, Cause, Error};
use crate::ffi;
use crate::ffi::handle::Stream;
use crate::ffi::stream::Received;

/// The most bytes in one of libvirt's messages: `VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX` less its
/// header, as virsh sends them.
const MESSAGE: usize = 262_120;

/// Told of each piece: the bytes done so far, holes counted.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// A stream that is broken off unless it comes to its end.
struct Transfer {
    stream: Stream,
    done: bool,
}

impl Transfer {
    fn finish(mut self) -> Result<(), Cause> {
        self.done = true;
        ffi::stream::finish(&self.stream)
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), Cause> {
        while !bytes.is_empty() {
            let sent = ffi::stream::send(&self.stream, bytes)?;
            let rest = sent.filter(|n| *n > 0).and_then(|n| bytes.get(n..));
            bytes = rest.ok_or(Cause::Answer { what: "count of bytes sent" })?;
        }
        Ok(())
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.done {
            // A stream that broke has nothing to abort.
            let _ = ffi::stream::abort(&self.stream);
        }
    }
}

impl Volume {
    /// Writes `length` bytes of `source` into the volume, from byte `offset` on. It must be big
    /// enough.
    ///
    /// # Errors
    ///
    /// If the host refuses, or the source ends early or cannot be read.
    pub fn upload(
        &self,
        source: &mut dyn Read,
        offset: u64,
        length: u64,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        self.try_upload(source, offset, length, progress).on("fill the volume", self.name())
    }

    fn try_upload(
        &self,
        source: &mut dyn Read,
        offset: u64,
        length: u64,
        progress: Progress<'_>,
    ) -> Result<(), Cause> {
        let transfer = self.transfer()?;
        ffi::storage::upload(&self.handle, &transfer.stream, offset, length, 0)?;
        let mut buffer = vec![0; MESSAGE];
        let mut done = 0;
        while done < length {
            let most = usize::try_from(length - done).unwrap_or(MESSAGE).min(MESSAGE);
            let got = read_some(source, &mut buffer[..most])?;
            transfer.send(&buffer[..got])?;
            done += as_u64(got);
            progress(done);
        }
        transfer.finish()
    }

    /// Writes a whole file into the volume, from its beginning; holes of the file are not sent
    /// and become holes of the volume (where its format has any). The file's offset moves.
    ///
    /// # Errors
    ///
    /// As [`Self::upload`].
    pub fn upload_file(&self, file: &mut File, progress: Progress<'_>) -> Result<(), Error> {
        self.try_upload_file(file, progress).on("fill the volume", self.name())
    }

    fn try_upload_file(&self, file: &mut File, progress: Progress<'_>) -> Result<(), Cause> {
        let length = file.seek(SeekFrom::End(0))?;
        let transfer = self.transfer()?;
        let sparse = sys::VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM;
        ffi::storage::upload(&self.handle, &transfer.stream, 0, length, sparse)?;
        let mut buffer = vec![0; MESSAGE];
        let mut at = 0;
        while at < length {
            let data = next_data(file, at, length)?;
            if data > at {
                let hole = i64::try_from(data - at).map_err(io::Error::other)?;
                ffi::stream::send_hole(&transfer.stream, hole)?;
                at = data;
                progress(at);
            }
            let end = if at < length { next_hole(file, at, length)? } else { at };
            file.seek(SeekFrom::Start(at))?;
            while at < end {
                let most = usize::try_from(end - at).unwrap_or(MESSAGE).min(MESSAGE);
                let got = read_some(file, &mut buffer[..most])?;
                transfer.send(&buffer[..got])?;
                at += as_u64(got);
                progress(at);
            }
        }
        transfer.finish()
    }

    /// Reads the volume's bytes from `offset` on, at most `length` (`None`: to its end), and
    /// returns how many there were. libvirt reads what is there when it comes to it: of a file
    /// that grows, more than its size at the beginning.
    ///
    /// # Errors
    ///
    /// If the host refuses, or `to` cannot be written.
    pub fn download(
        &self,
        to: &mut dyn Write,
        offset: u64,
        length: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<u64, Error> {
        self.try_download(to, offset, length, progress).on("read the volume", self.name())
    }

    fn try_download(
        &self,
        to: &mut dyn Write,
        offset: u64,
        length: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<u64, Cause> {
        if length == Some(0) {
            return Ok(0);
        }
        let transfer = self.transfer()?;
        // 0 means: to the end.
        let length = length.unwrap_or(0);
        ffi::storage::download(&self.handle, &transfer.stream, offset, length, 0)?;
        let mut buffer = vec![0; MESSAGE];
        let mut done = 0;
        while let Received::Bytes(got) = ffi::stream::receive(&transfer.stream, &mut buffer, false)?
        {
            to.write_all(buffer.get(..got).unwrap_or_default())?;
            done += as_u64(got);
            progress(done);
        }
        transfer.finish()?;
        Ok(done)
    }

    /// Reads the whole volume into an empty file; its holes become the file's. Returns the
    /// file's length.
    ///
    /// # Errors
    ///
    /// As [`Self::download`].
    pub fn download_file(&self, file: &mut File, progress: Progress<'_>) -> Result<u64, Error> {
        self.try_download_file(file, progress).on("read the volume", self.name())
    }

    fn try_download_file(&self, file: &mut File, progress: Progress<'_>) -> Result<u64, Cause> {
        let transfer = self.transfer()?;
        let sparse = sys::VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM;
        ffi::storage::download(&self.handle, &transfer.stream, 0, 0, sparse)?;
        let mut buffer = vec![0; MESSAGE];
        let mut at = 0;
        loop {
            match ffi::stream::receive(&transfer.stream, &mut buffer, true)? {
                Received::Bytes(got) => {
                    file.seek(SeekFrom::Start(at))?;
                    file.write_all(buffer.get(..got).unwrap_or_default())?;
                    at += as_u64(got);
                }
                Received::Hole => {
                    let hole = ffi::stream::receive_hole(&transfer.stream)?;
                    at = at.checked_add(hole).ok_or(Cause::Answer { what: "length of a hole" })?;
                }
                Received::End | Received::Nothing => break,
            }
            progress(at);
        }
        // A hole at the end was not written.
        file.set_len(at)?;
        transfer.finish()?;
        Ok(at)
    }

    fn transfer(&self) -> Result<Transfer, Cause> {
        let stream = ffi::stream::new(self.connection.handle(), true)?;
        Ok(Transfer { stream, done: false })
    }
}

/// Reads at least one byte.
fn read_some(source: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Where the next data begin, from `at` on; `length` if only a hole is left.
fn next_data(file: &File, at: u64, length: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, Offset::Data(at)) {
        Ok(data) => Ok(data.min(length)),
        Err(Errno::NXIO) => Ok(length),
        // A file system that knows no holes.
        Err(Errno::INVAL) => Ok(at),
        Err(error) => Err(error.into()),
    }
}

/// Where the data at `at` end.
fn next_hole(file: &File, at: u64, length: u64) -> io::Result<u64> {
    match rustix::fs::seek(file, Offset::Hole(at)) {
        Ok(hole) => Ok(hole.min(length)),
        Err(Errno::INVAL) => Ok(length),
        Err(error) => Err(error.into()),
    }
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
