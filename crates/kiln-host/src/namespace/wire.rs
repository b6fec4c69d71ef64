// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the stages and their starter say to each other: frames over a Unix socket, each a length
//! of four bytes and JSON. A file descriptor may come with a frame.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::{Change, Setup, SpaceError};

/// The most bytes of a frame: a path, attributes, a command line with its environment.
const MOST: usize = 64 << 20;

/// One thing to say.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// Starter to outer, outer to inner: what to do.
    Setup(Box<Setup>),
    /// Starter to the stage that removes what others left: the scratch folder.
    Remove(PathBuf),
    /// A stage is in a new user namespace and waits for its ids.
    Unshared,
    /// It has them.
    Mapped,
    /// Starter to the stage that keeps what a program changed: the scratch folder.
    Keep(PathBuf),
    /// The changes are kept, and take so many bytes.
    Kept(u64),
    /// The FUSE connection; the descriptor comes with it.
    Fuse,
    /// What the program reads, or a job works with; the descriptor comes with it.
    Data,
    /// A job ended: its answer, or what it said.
    Answered(Result<Vec<u8>, String>),
    /// The program ended: its exit status, or 128 + n for signal n.
    Ended(i32),
    /// The program's changes took more than so many bytes, and it was ended.
    Full(u64),
    /// Starter to outer: hand the changes on.
    Collect,
    /// A change; a file's contents follow it.
    Change(Box<Change>),
    /// That was the last one.
    Done,
    /// Something failed: what was to be done, and the system's number.
    Trouble(String, i32),
}

/// One end of a socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UnixStream,
    fds: VecDeque<OwnedFd>,
}

impl Wire {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket, fds: VecDeque::new() }
    }

    /// Returns the wire that a stage has as its standard input.
    pub(super) fn stdin() -> io::Result<Self> {
        Ok(Self::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }

    /// Returns the socket.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        self.socket.write_all(&frame(message)?)
    }

    /// Sends a message and a descriptor.
    pub(super) fn send_fd(&mut self, message: &Message, fd: BorrowedFd<'_>) -> io::Result<()> {
        let bytes = frame(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        let sent =
            sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
        self.socket.write_all(&bytes[sent..])
    }

    /// Returns the next message; `None` at the end.
    pub(super) fn receive(&mut self) -> io::Result<Option<Message>> {
        let mut length = [0; 4];
        if !self.fill(&mut length)? {
            return Ok(None);
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        if !self.fill(&mut bytes)? {
            return Ok(None);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other)
    }

    /// Returns the next message; the end, and trouble that the other side tells of, are errors.
    pub(super) fn expect(&mut self) -> Result<Message, SpaceError> {
        match self.receive().map_err(SpaceError::system("hear from the guest's program"))? {
            Some(Message::Trouble(what, errno)) => {
                Err(SpaceError::System { what, source: io::Error::from_raw_os_error(errno) })
            }
            Some(message) => Ok(message),
            None => Err(SpaceError::Lost),
        }
    }

    /// Returns a descriptor that came with a message.
    pub(super) fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop_front()
    }

    /// Fills `bytes`; false if the other end was closed before the first of them.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        let mut done = 0;
        while done < bytes.len() {
            match self.read(&mut bytes[done..])? {
                0 if done == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(true)
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut into = [IoSliceMut::new(buf)];
            match recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        Ok(got.bytes)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn frame(message: &Message) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Tells whoever listens to this stage what failed.
pub(super) fn complain(error: &SpaceError) {
    let message = match error {
        SpaceError::System { what, source } => {
            Message::Trouble(what.clone(), source.raw_os_error().unwrap_or(5))
        }
        other => Message::Trouble(other.to_string(), 5),
    };
    if let Ok(mut wire) = Wire::stdin() {
        wire.send(&message).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_over_with_descriptors() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut a, mut b) = (Wire::new(a), Wire::new(b));
        let file = tempfile::tempfile().unwrap();
        a.send(&Message::Ended(3)).unwrap();
        a.send_fd(&Message::Fuse, file.as_fd()).unwrap();
        drop(a);
        assert!(matches!(b.receive().unwrap(), Some(Message::Ended(3))));
        assert!(matches!(b.receive().unwrap(), Some(Message::Fuse)));
        assert!(b.take_fd().is_some() && b.take_fd().is_none());
        assert!(b.receive().unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[0xff; 8]).unwrap();
        assert!(Wire::new(b).receive().is_err());
    }
}
