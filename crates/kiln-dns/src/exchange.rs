// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One message to a server, and what comes back: by UDP, or by TCP where that is too small.
//!
//! Source: RFC 1035, 4.2. Asking again is safe: an update that was done and whose answer was lost is
//! seen by its prerequisites.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::error::DnsError;

/// The most bytes of a message that goes by UDP: what passes every network whole (DNS flag day 2020).
const MOST_UDP: usize = 1232;
/// How long one server may take, all tries together.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// After how long it is asked again.
const AGAIN: Duration = Duration::from_millis(1500);
/// The bits of a message's third byte that say that it is an answer, and that it was cut short.
const ANSWER: u8 = 0x80;
const CUT: u8 = 0x02;
/// The bytes of a message's head.
const HEAD: usize = 12;

/// Sends a message and returns the answer to it.
pub(crate) fn exchange(server: SocketAddr, message: &[u8]) -> Result<Vec<u8>, DnsError> {
    let deadline = Instant::now() + LIMIT;
    let shown = server.to_string();
    if message.len() <= MOST_UDP {
        let answer = by_udp(server, message, deadline)?;
        if answer[2] & CUT == 0 {
            return Ok(answer);
        }
    }
    let answer = by_tcp(server, message, deadline).map_err(|source| match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => silent(&shown),
        _ => DnsError::Unreachable { server: shown.clone(), source },
    })?;
    if is_answer(message, &answer) { Ok(answer) } else { Err(DnsError::Garbage { server: shown }) }
}

fn silent(server: &str) -> DnsError {
    DnsError::Silent { server: server.to_owned(), secs: LIMIT.as_secs() }
}

fn by_udp(server: SocketAddr, message: &[u8], deadline: Instant) -> Result<Vec<u8>, DnsError> {
    let shown = server.to_string();
    let failed = |source| DnsError::Unreachable { server: shown.clone(), source };
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
    // From now on only the server is heard.
    socket.connect(server).map_err(failed)?;
    let (mut buffer, mut strange) = (vec![0; 1 << 16], false);
    while Instant::now() < deadline {
        socket.send(message).map_err(failed)?;
        let again = deadline.min(Instant::now() + AGAIN);
        while let Some(left) = left(again) {
            socket.set_read_timeout(Some(left)).map_err(failed)?;
            match socket.recv(&mut buffer) {
                Ok(len) if is_answer(message, &buffer[..len]) => return Ok(buffer[..len].to_vec()),
                // A late answer to somebody else's question, or no answer at all.
                Ok(_) => strange = true,
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Err(if strange { DnsError::Garbage { server: shown.clone() } } else { silent(&shown) })
}

fn by_tcp(server: SocketAddr, message: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let late = || io::Error::from(ErrorKind::TimedOut);
    let len = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&server, left(deadline).ok_or_else(late)?)?;
    stream.set_write_timeout(left(deadline))?;
    stream.write_all(&[&len.to_be_bytes()[..], message].concat())?;
    let mut len = [0; 2];
    read(&mut stream, &mut len, deadline)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    read(&mut stream, &mut answer, deadline)?;
    Ok(answer)
}

/// Fills the buffer before the deadline, also from one who sends a byte now and then.
fn read(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let late = || io::Error::from(ErrorKind::TimedOut);
        stream.set_read_timeout(Some(left(deadline).ok_or_else(late)?))?;
        match stream.read(&mut buffer[done..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => done += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(until: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Whether these bytes are an answer to this message.
fn is_answer(message: &[u8], bytes: &[u8]) -> bool {
    bytes.len() >= HEAD && bytes[..2] == message[..2] && bytes[2] & ANSWER != 0
}
