// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether an SSH server greets, asked without waiting for it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use kiln_host::Host;

use super::ssh::{Route, with_agent};
use crate::context::Context;

/// What an SSH server says first: RFC 4253, 4.2.
const GREETING: &[u8; 4] = b"SSH-";
/// What we say: also at once, since passt of 2023 leads the greeting of a server here only after
/// something was led there (measured: 0.15 s, and without it not within 24 s).
const OURS: &[u8] = b"SSH-2.0-Kiln\r\n";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a connection may stay silent before another one is tried. Longer than passt waits for
/// its guest (10 s): a connection that is closed before has passt of 2023 run in circles, which
/// was measured to take a fifth of a processor while a guest boots.
const SILENT: Duration = Duration::from_secs(30);
/// How long a greeting may take where it is waited for.
const WAIT: Duration = Duration::from_secs(5);
/// How long it may take by way of another host, which we log in to first.
const PROXIED: Duration = Duration::from_secs(30);

/// A connection on which a greeting may come.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    open: Option<(TcpStream, Instant)>,
}

impl Greeting {
    /// Returns whether the server has greeted; to be called again and again until it has. A host
    /// behind a proxy is not asked: `true`.
    pub(crate) fn came(&mut self, route: &Route) -> bool {
        route.proxy.is_some() || address(route).is_some_and(|address| self.came_from(&address))
    }

    fn came_from(&mut self, address: &SocketAddr) -> bool {
        let opened = || -> io::Result<_> {
            let stream = connect(address)?;
            stream.set_nonblocking(true)?;
            Ok((stream, Instant::now()))
        };
        let Some((stream, since)) = self.open.take().or_else(|| opened().ok()) else {
            return false;
        };
        let mut start = [0; GREETING.len()];
        match stream.peek(&mut start) {
            Ok(n) if n == start.len() => return start == *GREETING,
            // Closed without a word: the next call connects again.
            Ok(0) => {}
            Err(error)
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            _ if since.elapsed() > SILENT => {}
            _ => self.open = Some((stream, since)),
        }
        false
    }
}

fn address(route: &Route) -> Option<SocketAddr> {
    (route.address.as_str(), route.port).to_socket_addrs().ok()?.next()
}

fn connect(address: &SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(address, CONNECT)?;
    stream.write_all(OURS)?;
    Ok(stream)
}

/// Returns whether an SSH server greets within some seconds.
pub(crate) fn answers(ctx: &Context, route: &Route) -> bool {
    if let Some(cmd) = route.greeting() {
        let said = ctx.host.run(&with_agent(ctx, cmd).deadline(Some(PROXIED)));
        return said.is_ok_and(|out| out.stdout.starts_with(GREETING));
    }
    let greets = |address: SocketAddr| {
        let mut stream = connect(&address)?;
        stream.set_read_timeout(Some(WAIT))?;
        let mut start = [0; GREETING.len()];
        stream.read_exact(&mut start)?;
        Ok::<_, io::Error>(start == *GREETING)
    };
    address(route).is_some_and(|address| greets(address).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn until(mut met: impl FnMut() -> bool) {
        let began = Instant::now();
        while !met() {
            assert!(began.elapsed() < Duration::from_secs(10), "in time");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_silent_server_is_asked_on_one_connection_until_it_greets() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let mut greeting = Greeting::default();
        assert!(!greeting.came_from(&at));
        let (mut stream, _) = server.accept().unwrap();
        assert!(!greeting.came_from(&at));
        stream.write_all(b"SS").unwrap();
        assert!(!greeting.came_from(&at));
        stream.write_all(b"H-2.0-x\r\n").unwrap();
        until(|| greeting.came_from(&at));
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn one_that_hangs_up_or_says_something_else_is_asked_again() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let mut greeting = Greeting::default();
        assert!(!greeting.came_from(&at));
        drop(server.accept().unwrap());
        until(|| !greeting.came_from(&at) && greeting.open.is_none());
        assert!(!greeting.came_from(&at));
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400\r\n").unwrap();
        until(|| !greeting.came_from(&at) && greeting.open.is_none());
        drop(server);
        assert!(!greeting.came_from(&at));
    }
}
