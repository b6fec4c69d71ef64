// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disks of other formats, served by `qemu-storage-daemon` over NBD on a private socket.
//!
//! | module | what |
//! |---|---|
//! | `wire` | the protocol: handshake, requests, replies |
//! | `device` | a connection as a [`crate::device::Device`] |
//! | `daemon` | the daemon that serves one image, ended with its device |
//!
//! Source: the NBD protocol, `doc/proto.md` of NetworkBlockDevice/nbd: fixed newstyle handshake
//! with `NBD_OPT_GO`, structured replies, the metadata context `base:allocation`.

mod daemon;
mod device;
mod wire;

pub use daemon::{NbdError, Served, serve};
pub use device::NbdDevice;
