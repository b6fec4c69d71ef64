// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who listens on this host's ports.
//!
//! Source: the kernel's tables, `/proc/net/tcp`, `tcp6`, `udp` and `udp6` (proc_net_tcp(5); Linux,
//! net/ipv4/tcp_ipv4.c and udp.c). They are readable for everybody, unlike a port below 1024,
//! which others could not even try to open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use kiln_spec::forward::Protocol;

use crate::read;

/// The most of a table that is read: 150 bytes a socket.
const MOST: u64 = 64 << 20;
/// A TCP socket that waits for connections: include/net/tcp_states.h, `TCP_LISTEN`.
const LISTEN: &str = "0A";

/// A socket that anybody may send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The address that it listens on; unspecified for all of them.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// Returns everything that listens in this network namespace. A table that cannot be read has
/// nothing in it.
#[must_use]
pub fn all() -> Vec<Listener> {
    let tables = [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ];
    let read = |(path, protocol): (&str, Protocol)| {
        let bytes = read::bounded(Path::new(path), MOST).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines().filter_map(|line| parse(line, protocol)).collect::<Vec<_>>()
    };
    tables.into_iter().flat_map(read).collect()
}

/// Reads a line of a table. One that is connected to somebody is no listener.
fn parse(line: &str, protocol: Protocol) -> Option<Listener> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, remote_port) = remote.split_once(':')?;
    let open = match protocol {
        Protocol::Tcp => state == LISTEN,
        Protocol::Udp => u16::from_str_radix(remote_port, 16).ok()? == 0,
    };
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    open.then_some(Listener { protocol, address: parse_address(address)?, port })
}

/// Reads an address: words of 32 bits, each in the host's order of bytes.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |n: usize| u32::from_str_radix(text.get(n * 8..n * 8 + 8)?, 16).ok();
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (n, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(n)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        if !cfg!(target_endian = "little") {
            return;
        }
        let of =
            |line: &str, protocol| parse(line, protocol).map(|l| (l.address.to_string(), l.port));
        let title = "  sl  local_address rem_address   st tx_queue rx_queue";
        assert_eq!(of(title, Protocol::Tcp), None);
        let tcp = "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000";
        assert_eq!(of(tcp, Protocol::Tcp), Some(("127.0.0.1".into(), 22)));
        let connected = tcp.replace(" 0A ", " 01 ");
        assert_eq!(of(&connected, Protocol::Tcp), None);
        let udp = "  7: 017AA8C0:0035 00000000:0000 07 00000000:00000000 00:00000000";
        assert_eq!(of(udp, Protocol::Udp), Some(("192.168.122.1".into(), 53)));
        let connected = udp.replace("00000000:0000 07", "0100007F:0035 01");
        assert_eq!(of(&connected, Protocol::Udp), None);
        let six =
            "  0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A";
        assert_eq!(of(six, Protocol::Tcp), Some(("127.0.0.1".into(), 80)));
        let six =
            "  0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A";
        assert_eq!(of(six, Protocol::Tcp), Some(("::".into(), 80)));
    }

    #[test]
    fn a_socket_of_our_own_is_found() {
        let own = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = own.local_addr().unwrap().port();
        let found: Vec<_> = all().into_iter().filter(|l| l.port == port).collect();
        let address = Ipv4Addr::LOCALHOST.into();
        assert_eq!(found, [Listener { protocol: Protocol::Tcp, address, port }]);
    }
}
