// SPDX-License-Identifier: Apache-2.0 OR MIT
//! As much of HTTP as hands out small files: RFC 9110 and 9112, one request a connection.
//!
//! **Invariant:** who asks can hold a thread for [`PATIENCE`] and some KiB of memory, [`MOST`] of
//! them at once, and nothing more.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kiln_host::signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The most connections at once; who comes then is sent away.
const MOST: usize = 64;
/// The most bytes of a request's head, and the most header fields in it.
const HEAD: usize = 8 << 10;
const FIELDS: usize = 64;
/// How long a request may take to come, and how long its answer to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times something is taken that nobody asked for.
const LINGER: usize = 32;
/// How long a wait is blind to a signal.
const BLINK: Duration = Duration::from_millis(250);

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing of that name is there, or not for who asks: for the log why.
    NotFound(String),
    /// It cannot be had now: for the log why.
    Unavailable(String),
}

/// A request that was answered.
#[derive(Debug)]
pub(super) struct Access {
    /// Who asked.
    pub(super) peer: IpAddr,
    /// `GET`, or what else was sent; only letters.
    pub(super) method: String,
    /// The path, as far as it is one.
    pub(super) path: String,
    /// The status of the answer.
    pub(super) status: u16,
    /// The bytes of its body.
    pub(super) bytes: usize,
    /// Why it was none.
    pub(super) why: Option<String>,
}

/// Serves until a signal comes: `answer` for a path and who asks for it, `log` after each.
///
/// # Errors
///
/// What the system says of the listener.
pub(super) fn serve(
    listener: &TcpListener,
    answer: impl Fn(&str, IpAddr) -> Answer + Sync,
    log: impl Fn(&Access) + Sync,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let open = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        while !signal::interrupted() {
            if !comes(listener)? {
                continue;
            }
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                // It was taken back, or there are too many files open: the next may come.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if is_of_peer(&error) => continue,
                Err(error) => return Err(error),
            };
            if open.fetch_add(1, Ordering::SeqCst) >= MOST {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (answer, log, open) = (&answer, &log, &open);
            scope.spawn(move || {
                if let Some(access) = one(stream, peer, answer) {
                    log(&access);
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
        Ok(())
    })
}

/// Waits until somebody comes, or for a while.
fn comes(listener: &TcpListener) -> io::Result<bool> {
    let nanos = i64::from(BLINK.subsec_nanos());
    let wait = Timespec { tv_sec: 0, tv_nsec: nanos };
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut fds, Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether a connection failed and not the listener: accept(2), "Error handling".
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Answers one connection; `None` if nothing was asked.
fn one(
    mut stream: TcpStream,
    peer: SocketAddr,
    answer: &impl Fn(&str, IpAddr) -> Answer,
) -> Option<Access> {
    let peer = peer.ip().to_canonical();
    // Accepted sockets may inherit it.
    stream.set_nonblocking(false).ok()?;
    let asked = read(&mut stream).ok()?;
    let (method, path, found) = match asked {
        Asked::Nothing => return None,
        Asked::Wrong(status) => (String::new(), String::new(), Err((status, None))),
        Asked::For { method, path } if method != "GET" && method != "HEAD" => {
            (method, path, Err((405, None)))
        }
        Asked::For { method, path } => {
            let found = match answer(&path, peer) {
                Answer::Bytes(bytes) => Ok(bytes),
                Answer::NotFound(why) => Err((404, Some(why))),
                Answer::Unavailable(why) => Err((503, Some(why))),
            };
            (method, path, found)
        }
    };
    let (status, bytes, why) = match found {
        Ok(bytes) => (200, bytes, None),
        Err((status, why)) => (status, Vec::new(), why),
    };
    let body = if method == "HEAD" { &[][..] } else { &bytes };
    // One that hangs up has been answered, too.
    send(&mut stream, status, (bytes.len(), body)).ok();
    Some(Access { peer, method, path, status, bytes: body.len(), why })
}

enum Asked {
    /// The connection was closed before anything came.
    Nothing,
    /// It is no request, or one that is too long or too slow.
    Wrong(u16),
    For {
        method: String,
        path: String,
    },
}

fn read(stream: &mut TcpStream) -> io::Result<Asked> {
    let began = Instant::now();
    stream.set_read_timeout(Some(BLINK))?;
    let (mut head, mut some) = (Vec::new(), [0; 2048]);
    loop {
        if began.elapsed() > PATIENCE || signal::interrupted() {
            return Ok(Asked::Wrong(408));
        }
        let count = match stream.read(&mut some) {
            Ok(0) if head.is_empty() => return Ok(Asked::Nothing),
            Ok(0) => return Ok(Asked::Wrong(400)),
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        head.extend_from_slice(&some[..count]);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect();
                let path = request.path.unwrap_or_default();
                // What is behind `?` is for programs, and this has none.
                let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
                return Ok(Asked::For {
                    method: request.method.map(letters).unwrap_or_default(),
                    path,
                });
            }
            Ok(httparse::Status::Partial) if head.len() < HEAD => {}
            Ok(httparse::Status::Partial) => return Ok(Asked::Wrong(431)),
            Err(_) => return Ok(Asked::Wrong(400)),
        }
    }
}

fn send(stream: &mut TcpStream, status: u16, (length, body): (usize, &[u8])) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    stream.set_write_timeout(Some(PATIENCE))?;
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    if status != 200 {
        linger(stream)?;
    }
    Ok(())
}

/// Takes what else was sent, as far as that is little: closed over it, a connection is reset, and
/// the answer is lost with it (RFC 9112, 9.6).
fn linger(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut some = [0; 2048];
    for _ in 0..LINGER {
        if stream.read(&mut some)? == 0 {
            break;
        }
    }
    Ok(())
}
