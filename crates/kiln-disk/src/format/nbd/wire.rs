// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The NBD protocol over any stream: handshake, requests, replies.
//!
//! One request is under way at a time. **Invariant:** the server is not believed: what it sends
//! must fit what was asked for, and is bounded before memory is asked for.

use std::io::{self, ErrorKind, Read, Write};

use crate::fs::ext::shown;

/// First words of the server and of each side's options: `NBDMAGIC`, `IHAVEOPT`.
const HELLO: u64 = 0x4e42_444d_4147_4943;
const OPTION: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const SIMPLE_REPLY: u32 = 0x6744_6698;
const STRUCTURED_REPLY: u32 = 0x668e_33ef;

/// Flags of the handshake: fixed newstyle, no zeros after it.
const FIXED: u16 = 1;
const NO_ZEROES: u16 = 2;

const OPT_GO: u32 = 7;
const OPT_STRUCTURED_REPLY: u32 = 8;
const OPT_SET_META_CONTEXT: u32 = 10;

const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_META_CONTEXT: u32 = 4;
const REP_ERROR: u32 = 1 << 31;

/// The type of `NBD_REP_INFO` with size and flags.
const INFO_EXPORT: u16 = 0;

/// Kinds of chunks of a structured reply.
const CHUNK_NONE: u16 = 0;
const CHUNK_DATA: u16 = 1;
const CHUNK_HOLE: u16 = 2;
const CHUNK_STATUS: u16 = 5;
const CHUNK_ERROR: u16 = 1 << 15;
const CHUNK_DONE: u16 = 1;

/// The metadata context that tells holes and zeros.
const ALLOCATION: &str = "base:allocation";

/// The most bytes of a reply without data: messages, lists of extents.
const MOST_REPLY: u32 = 4 << 20;

/// How much of a server's text is shown.
const MOST_SAID: usize = 200;

/// Flags of an export.
pub(super) const READ_ONLY: u16 = 1 << 1;
pub(super) const CAN_FLUSH: u16 = 1 << 2;
pub(super) const CAN_WRITE_ZEROES: u16 = 1 << 6;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Command {
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    WriteZeroes = 6,
    BlockStatus = 7,
}

impl Command {
    fn code(self) -> u16 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Disconnect => 2,
            Self::Flush => 3,
            Self::WriteZeroes => 6,
            Self::BlockStatus => 7,
        }
    }
}

/// What a request gets: bytes, or what they are.
pub(super) enum Answer<'a> {
    Nothing,
    Data(&'a mut [u8]),
    Status(&'a mut Vec<(u32, u32)>),
}

/// A connection to one export.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    cookie: u64,
    /// The size of the disk.
    pub(super) size: u64,
    /// Flags of the export.
    pub(super) flags: u16,
    /// The number of the context `base:allocation`, if the server has it.
    pub(super) context: Option<u32>,
}

fn wrong(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the NBD server is not understood: {what}"))
}

fn short(len: usize) -> u32 {
    u32::try_from(len).expect("options and names are short")
}

impl<S: Read + Write> Connection<S> {
    /// Greets the server and opens `export`.
    pub(super) fn open(stream: S, export: &str) -> io::Result<Self> {
        let mut it = Self { stream, cookie: 0, size: 0, flags: 0, context: None };
        let (hello, option) = (it.u64()?, it.u64()?);
        if (hello, option) != (HELLO, OPTION) {
            return Err(wrong("it greets in another way".to_owned()));
        }
        let offered = it.u16()?;
        if offered & FIXED == 0 {
            return Err(wrong("it is too old".to_owned()));
        }
        it.stream.write_all(&u32::from(offered & (FIXED | NO_ZEROES)).to_be_bytes())?;
        it.option(OPT_STRUCTURED_REPLY, &[])?;
        if it.option_reply()?.0 != REP_ACK {
            return Err(wrong("it has no structured replies".to_owned()));
        }
        it.ask_for_context(export)?;
        it.go(export)?;
        Ok(it)
    }

    fn ask_for_context(&mut self, export: &str) -> io::Result<()> {
        let mut data = short(export.len()).to_be_bytes().to_vec();
        data.extend(export.as_bytes());
        data.extend(1_u32.to_be_bytes());
        data.extend(short(ALLOCATION.len()).to_be_bytes());
        data.extend(ALLOCATION.as_bytes());
        self.option(OPT_SET_META_CONTEXT, &data)?;
        loop {
            let (kind, data) = self.option_reply()?;
            match kind {
                REP_META_CONTEXT => {
                    let id = data.first_chunk().ok_or_else(|| wrong("a short context".into()))?;
                    self.context = Some(u32::from_be_bytes(*id));
                }
                // Without it everything counts as data.
                REP_ACK => return Ok(()),
                kind if kind & REP_ERROR != 0 => return Ok(()),
                kind => return Err(wrong(format!("reply {kind} to a context"))),
            }
        }
    }

    fn go(&mut self, export: &str) -> io::Result<()> {
        let mut data = short(export.len()).to_be_bytes().to_vec();
        data.extend(export.as_bytes());
        data.extend(0_u16.to_be_bytes());
        self.option(OPT_GO, &data)?;
        loop {
            let (kind, data) = self.option_reply()?;
            match kind {
                REP_INFO if data.starts_with(&INFO_EXPORT.to_be_bytes()) && data.len() == 12 => {
                    let (size, flags) = data[2..].split_at(8);
                    self.size = u64::from_be_bytes(size.try_into().expect("split at 8"));
                    self.flags = u16::from_be_bytes(flags.try_into().expect("2 are left"));
                }
                REP_INFO => {}
                REP_ACK => return Ok(()),
                kind => {
                    let said = shown(&data[..data.len().min(MOST_SAID)]);
                    return Err(wrong(format!("it does not open the export ({kind:x}): {said}")));
                }
            }
        }
    }

    fn option(&mut self, option: u32, data: &[u8]) -> io::Result<()> {
        let mut bytes = OPTION.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend(short(data.len()).to_be_bytes());
        bytes.extend(data);
        self.stream.write_all(&bytes)
    }

    fn option_reply(&mut self) -> io::Result<(u32, Vec<u8>)> {
        if self.u64()? != OPTION_REPLY {
            return Err(wrong("a reply begins with something else".to_owned()));
        }
        let (_option, kind) = (self.u32()?, self.u32()?);
        let data = self.block()?;
        Ok((kind, data))
    }

    /// Sends a request and takes its reply.
    pub(super) fn request(
        &mut self,
        command: Command,
        place: (u64, u32),
        data: &[u8],
        answer: Answer<'_>,
    ) -> io::Result<()> {
        let done = self.send(command, place, data).and_then(|()| match command {
            Command::Disconnect => Ok(()),
            _ => self.reply(place.0, answer),
        });
        done.map_err(|error| match error.kind() {
            // Not the end of the disk.
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                io::Error::new(ErrorKind::ConnectionAborted, "the NBD server hung up")
            }
            _ => error,
        })
    }

    fn send(&mut self, command: Command, (at, len): (u64, u32), data: &[u8]) -> io::Result<()> {
        self.cookie += 1;
        let mut header = REQUEST.to_be_bytes().to_vec();
        header.extend(0_u16.to_be_bytes());
        header.extend(command.code().to_be_bytes());
        header.extend(self.cookie.to_be_bytes());
        header.extend(at.to_be_bytes());
        header.extend(len.to_be_bytes());
        self.stream.write_all(&header)?;
        self.stream.write_all(data)
    }

    fn reply(&mut self, at: u64, mut answer: Answer<'_>) -> io::Result<()> {
        let mut failed = None;
        loop {
            match self.u32()? {
                SIMPLE_REPLY => {
                    let error = self.u32()?;
                    self.expect_cookie()?;
                    if error == 0 && matches!(answer, Answer::Nothing) {
                        return Ok(());
                    }
                    return Err(host_error(error));
                }
                STRUCTURED_REPLY => {
                    let (flags, kind) = (self.u16()?, self.u16()?);
                    self.expect_cookie()?;
                    if let Some(error) = self.chunk(kind, at, &mut answer)? {
                        failed = failed.or(Some(error));
                    }
                    if flags & CHUNK_DONE != 0 {
                        return failed.map_or(Ok(()), Err);
                    }
                }
                magic => return Err(wrong(format!("a reply begins with {magic:x}"))),
            }
        }
    }

    fn expect_cookie(&mut self) -> io::Result<()> {
        let cookie = self.u64()?;
        if cookie == self.cookie { Ok(()) } else { Err(wrong(format!("a reply to {cookie}"))) }
    }

    /// Takes one chunk; returns the error that it tells of.
    fn chunk(
        &mut self,
        kind: u16,
        base: u64,
        answer: &mut Answer<'_>,
    ) -> io::Result<Option<io::Error>> {
        match (kind, answer) {
            (CHUNK_NONE, _) => {
                self.block()?;
            }
            (CHUNK_DATA, Answer::Data(buf)) => {
                let len = self.u32()?.checked_sub(8);
                let at = self.u64()?;
                self.stream.read_exact(part(buf, at.checked_sub(base), len)?)?;
            }
            (CHUNK_HOLE, Answer::Data(buf)) => {
                let (_len, at, hole) = (self.u32()?, self.u64()?, self.u32()?);
                part(buf, at.checked_sub(base), Some(hole))?.fill(0);
            }
            (CHUNK_STATUS, Answer::Status(found)) => {
                let data = self.block()?;
                let (words, _) = data.as_chunks::<4>();
                let words: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
                if words.first().copied() == self.context {
                    let pairs = words[1..].as_chunks::<2>().0;
                    found.extend(pairs.iter().map(|[len, flags]| (*len, *flags)));
                }
            }
            (kind, _) if kind & CHUNK_ERROR != 0 => {
                let data = self.block()?;
                let code = data.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
                return Ok(Some(host_error(code)));
            }
            (kind, _) => return Err(wrong(format!("a reply of kind {kind}"))),
        }
        Ok(None)
    }

    /// Reads a length and as many bytes.
    fn block(&mut self) -> io::Result<Vec<u8>> {
        let len = self.u32()?;
        if len > MOST_REPLY {
            return Err(wrong(format!("a reply of {len} bytes")));
        }
        let mut data = vec![0; usize::try_from(len).expect("it is at most 4 MiB")];
        self.stream.read_exact(&mut data)?;
        Ok(data)
    }

    fn u16(&mut self) -> io::Result<u16> {
        let mut bytes = [0; 2];
        self.stream.read_exact(&mut bytes)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.stream.read_exact(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }
}

/// Returns the part of `buf` that a chunk is for.
fn part(buf: &mut [u8], from: Option<u64>, len: Option<u32>) -> io::Result<&mut [u8]> {
    let from = from.and_then(|from| usize::try_from(from).ok());
    let len = len.and_then(|len| usize::try_from(len).ok());
    let range = from.zip(len).and_then(|(from, len)| Some(from..from.checked_add(len)?));
    range
        .and_then(|range| buf.get_mut(range))
        .ok_or_else(|| wrong("data that was not asked for".to_owned()))
}

/// Returns an error of the server: the protocol's numbers are Linux's.
fn host_error(code: u32) -> io::Error {
    match i32::try_from(code) {
        Ok(code) if code > 0 => io::Error::from_raw_os_error(code),
        _ => wrong(format!("error {code}")),
    }
}
