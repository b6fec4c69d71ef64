// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Names of machines in a DNS server of somebody else's: dynamic updates (RFC 2136), signed with a
//! shared key (TSIG, RFC 8945).
//!
//! | module | what |
//! |---|---|
//! | [`key`] | the key, and the file that BIND's programs write it to |
//! | [`record`] | what is put into a zone |
//! | [`server`] | a server: one message to it, and its answer verified |
//! | [`claim`] | a name taken, changed and given back, so that nobody else's is touched |
//! | [`error`] | what can go wrong |
//!
//! **Invariant:** an answer counts only if it is signed with the key; a name is changed only if
//! nobody had it, or if it bears the machine's own mark.

pub mod claim;
pub mod error;
mod exchange;
pub mod key;
mod message;
pub mod record;
pub mod server;

pub use error::DnsError;
pub use key::TsigKey;
pub use record::{Data, Record};
pub use server::Server;
