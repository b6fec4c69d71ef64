// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Switches a new network namespace's loopback on. Source: netdevice(7), SIOCSIFFLAGS.

use std::io;

use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::net::{AddressFamily, SocketType, socket};

/// `SIOCSIFFLAGS`.
const SET_FLAGS: Opcode = 0x8914;
/// `IFF_UP`.
const UP: u16 = 1;

/// `struct ifreq`, of which `ifr_flags` is used: 40 bytes on 64-bit Linux.
#[repr(C, align(8))]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Switches the loopback on.
#[expect(unsafe_code, reason = "rustix has no call for interface flags")]
pub(super) fn up() -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = Request { name: [0; 16], flags: UP, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: SIOCSIFFLAGS reads a `struct ifreq`, which `Request` is laid out as.
    unsafe { ioctl(socket, Updater::<SET_FLAGS, Request>::new(&mut request)) }?;
    Ok(())
}
