// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt: connections, XML, domains, volumes, networks, events, the guest's agent.
//!
//! | module | what |
//! |---|---|
//! | [`connect`] | a connection to a host, and what the host can do |
//! | [`uri`] | libvirt's URIs, taken apart |
//! | [`error`] | what goes wrong, told by number |
//! | [`xml`] | a tree that keeps everything, and the macros of typed views |
//! | [`domain`] | machines: their XML, their life, their console |
//! | [`agent`] | commands to the guest's agent |
//! | [`storage`] | pools and volumes, and the bytes in them |
//! | [`keyring`] | keys of Ceph users, and the files that they come in |
//! | [`secret`] | what the host keeps secret |
//! | [`network`] | networks, leases, reserved addresses |
//! | [`event`] | what happens on the host, as it happens |
//!
//! Everything is synchronous, and everything may be used from several threads. The time spent
//! inside libvirt's calls is counted: [`time_in_libvirt`].
//!
//! **Invariant:** `unsafe` lives in `ffi/` only.

pub mod agent;
pub mod connect;
pub mod domain;
pub mod error;
pub mod event;
mod ffi;
pub mod keyring;
pub mod network;
pub mod secret;
pub mod storage;
pub mod uri;
pub mod xml;

pub use connect::Connection;
pub use domain::{Domain, DomainSpec};
pub use error::{Cause, Error, LibvirtError};
pub use network::Network;
pub use secret::Secret;
pub use storage::{Pool, Volume};
pub use uri::Uri;

use std::time::Duration;

/// Returns the time that the process has spent inside libvirt's calls so far, summed over its
/// threads (so it can be more than the time that has passed).
#[must_use]
pub fn time_in_libvirt() -> Duration {
    ffi::call::total()
}

/// Returns the time that the calling thread has spent inside libvirt's calls so far.
#[must_use]
pub fn time_in_libvirt_of_this_thread() -> Duration {
    ffi::call::of_this_thread()
}
