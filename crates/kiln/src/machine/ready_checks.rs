// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What somebody wants to be proven of a machine besides what Kiln proves by itself.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use kiln_spec::ready::ReadyCheck;

use super::cloud_init::CloudInit;
use super::existing::Machine;
use super::ready::Ready;
use super::ssh::Route;
use crate::error::{Class, Problem};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a connection is watched: passt takes one also for a port that nobody listens on in the
/// guest, and hangs up then.
const WATCH: Duration = Duration::from_millis(300);

/// The checks of one wait, and what of them was proven.
#[derive(Debug)]
pub(super) struct Checks<'a> {
    wanted: &'a [ReadyCheck],
    open: BTreeSet<u16>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(wanted: &'a [ReadyCheck]) -> Self {
        Self { wanted, open: BTreeSet::new() }
    }

    /// Returns the first that is not proven yet of a machine that is ready else.
    ///
    /// # Errors
    ///
    /// Class guest, for what will never be proven.
    pub(super) fn missing(
        &mut self,
        machine: &Machine,
        (ready, route): (&Ready, Option<&Route>),
    ) -> Result<Option<ReadyCheck>, Problem> {
        let never = |what: String| Err(Problem::new(Class::Guest, what));
        let name = &machine.name;
        for check in self.wanted {
            match (check, &ready.cloud_init, &ready.ssh) {
                (ReadyCheck::CloudInit, CloudInit::Absent, _) => {
                    return never(format!("`{name}` has no cloud-init, which is waited for"));
                }
                (ReadyCheck::Ssh, _, Err(why)) => {
                    return never(format!("a login to `{name}` cannot be proven: {why}"));
                }
                (ReadyCheck::Agent, ..) if !ready.agent => return Ok(Some(*check)),
                (ReadyCheck::Tcp(port), ..) if !self.open.contains(port) => {
                    if !route.is_some_and(|route| answers(machine, route, *port)) {
                        return Ok(Some(*check));
                    }
                    self.open.insert(*port);
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Refuses what cannot be looked at from here.
///
/// # Errors
///
/// Class usage: a port of a machine behind another host, or of one in user-mode networking without
/// a forward to it.
pub(crate) fn check(machine: &Machine, wanted: &[ReadyCheck]) -> Result<(), Problem> {
    for check in wanted {
        let ReadyCheck::Tcp(port) = check else { continue };
        let what = format!("`{check}` of `{}` cannot be looked at from here", machine.name);
        let problem = Problem::new(Class::Usage, what);
        if !machine.conn.is_local() {
            return Err(problem.hint("its host is another one: its network is not reached"));
        }
        if is_user(machine) && host_port(machine, *port).is_none() {
            let hint = format!("forward a port of the host to it: `--forward 8080:{port}`");
            return Err(problem.hint(hint));
        }
    }
    Ok(())
}

/// Returns whether passt leads to the machine.
fn is_user(machine: &Machine) -> bool {
    machine.meta.as_ref().is_some_and(|meta| meta.ssh_port.is_some())
}

/// Returns where the host leads to a port of a machine in user-mode networking.
fn host_port(machine: &Machine, port: u16) -> Option<SocketAddr> {
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let meta = machine.meta.as_ref()?;
    if port == 22 {
        return Some((HERE, meta.ssh_port?).into());
    }
    let forward = meta.forwards.iter().find(|forward| forward.to == port)?;
    let listen = forward.listen.filter(|ip| !ip.is_unspecified()).unwrap_or(HERE);
    Some((listen, forward.port).into())
}

/// Returns whether something answers on a port of the machine, or says nothing and does not hang
/// up.
fn answers(machine: &Machine, route: &Route, port: u16) -> bool {
    let at = if is_user(machine) {
        host_port(machine, port)
    } else {
        route.address.parse::<IpAddr>().ok().map(|ip| (ip, port).into())
    };
    at.is_some_and(|at| is_open(&at))
}

fn is_open(at: &SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(at, CONNECT) else { return false };
    if stream.set_read_timeout(Some(WATCH)).is_err() {
        return false;
    }
    match stream.read(&mut [0]) {
        Ok(read) => read > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_port_is_open_if_nobody_hangs_up() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        // Silent, as a web server is.
        assert!(is_open(&at));
        drop(server.accept().unwrap());
        let greeting = thread::spawn(move || {
            server.accept().unwrap().0.write_all(b"220 hello\r\n").unwrap();
            server
        });
        assert!(is_open(&at));
        let server = greeting.join().unwrap();
        // As passt does for a port that is closed in the guest.
        let hanging_up = thread::spawn(move || drop(server.accept().unwrap()));
        assert!(!is_open(&at));
        hanging_up.join().unwrap();
        assert!(!is_open(&at), "nobody listens any more");
    }
}
