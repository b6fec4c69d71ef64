// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A connection to an NBD server as a device.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::wire::{Answer, CAN_FLUSH, CAN_WRITE_ZEROES, Command, Connection, READ_ONLY};
use crate::device::{Device, Extent, len64, within};

/// The most bytes of one request for data: less than the 32 MiB that every server takes.
const MOST: usize = 4 << 20;
/// The most bytes that are asked about or zeroed at once. Less than 4 GiB, in whole sectors.
const MOST_STATUS: u64 = 1 << 30;
/// What `base:allocation` says of bytes that read as zeros.
const ZERO: u32 = 2;
/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// A disk that an NBD server on a Unix socket has.
#[derive(Debug)]
pub struct NbdDevice {
    connection: Connection<UnixStream>,
    /// What is known of a part of the disk: where it begins, and its runs.
    known: (u64, Vec<(u32, u32)>),
}

impl NbdDevice {
    /// Connects to the server at `socket` and opens `export`.
    ///
    /// # Errors
    ///
    /// What connect(2) says; [`ErrorKind::InvalidData`] if the server is not understood.
    pub fn connect(socket: &Path, export: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let connection = Connection::open(stream, export)?;
        Ok(Self { connection, known: (0, Vec::new()) })
    }

    /// Returns whether the server takes no writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.connection.flags & READ_ONLY != 0
    }

    fn writable(&mut self) -> io::Result<()> {
        self.known.1.clear();
        if self.is_read_only() { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    /// Returns the run at `at`, if it is known.
    fn recall(&self, at: u64) -> Option<Extent> {
        let mut start = self.known.0;
        if at < start {
            return None;
        }
        for (len, flags) in &self.known.1 {
            let end = start + u64::from(*len);
            if at < end {
                return Some(Extent { len: end - at, zeros: flags & ZERO != 0 });
            }
            start = end;
        }
        None
    }
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("a request is some MiB at most")
}

impl Device for NbdDevice {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        within(self.size(), at, len64(buf))?;
        let mut at = at;
        for part in buf.chunks_mut(MOST) {
            let len = part.len();
            let asked = (at, len32(len));
            self.connection.request(Command::Read, asked, &[], Answer::Data(part))?;
            at += u64::from(len32(len));
        }
        Ok(())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        within(self.size(), at, len64(bytes))?;
        let mut at = at;
        for part in bytes.chunks(MOST) {
            let asked = (at, len32(part.len()));
            self.connection.request(Command::Write, asked, part, Answer::Nothing)?;
            at += len64(part);
        }
        Ok(())
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.writable()?;
        within(self.size(), at, len)?;
        let (mut at, end) = (at, at + len);
        while at < end {
            let part = MOST_STATUS.min(end - at);
            let asked = (at, u32::try_from(part).expect("it is 1 GiB at most"));
            if self.connection.flags & CAN_WRITE_ZEROES != 0 {
                self.connection.request(Command::WriteZeroes, asked, &[], Answer::Nothing)?;
            } else {
                let part = part.min(1 << 20);
                let zeros = vec![0; usize::try_from(part).expect("it is 1 MiB at most")];
                self.write_at(at, &zeros)?;
                at += part;
                continue;
            }
            at += part;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_read_only() || self.connection.flags & CAN_FLUSH == 0 {
            return Ok(());
        }
        self.connection.request(Command::Flush, (0, 0), &[], Answer::Nothing)
    }

    fn size(&self) -> u64 {
        self.connection.size
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.size(), at, 1)?;
        if self.connection.context.is_none() {
            return Ok(Extent { len: self.size() - at, zeros: false });
        }
        if let Some(known) = self.recall(at) {
            return Ok(known);
        }
        let most = MOST_STATUS.min(self.size() - at);
        let asked = (at, u32::try_from(most).expect("it is 1 GiB at most"));
        let mut found = Vec::new();
        self.connection.request(Command::BlockStatus, asked, &[], Answer::Status(&mut found))?;
        found.retain(|(len, _)| *len > 0);
        self.known = (at, found);
        let whole = Extent { len: most, zeros: false };
        let found = self.recall(at).unwrap_or(whole);
        Ok(Extent { len: found.len.min(self.size() - at), ..found })
    }
}

impl Drop for NbdDevice {
    fn drop(&mut self) {
        // The server notices without it, too.
        self.connection.request(Command::Disconnect, (0, 0), &[], Answer::Nothing).ok();
    }
}
