// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong with an update. Told apart by the numbers of the answer, never by words.

use std::io;

use crate::key::KeyError;

/// Why a server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// The server's own name leads nowhere.
    #[error("the DNS server's name `{host}` leads to no address")]
    Host {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be reached, or broke off.
    #[error("could not reach the DNS server at {server}")]
    Unreachable {
        /// Where it is.
        server: String,
        /// What the system said.
        source: io::Error,
    },
    /// It does not answer.
    #[error("the DNS server at {server} did not answer within {secs} s")]
    Silent {
        /// Where it is.
        server: String,
        /// How long was waited.
        secs: u64,
    },
    /// What answers is no DNS server.
    #[error("what answers at {server} is no DNS server")]
    Garbage {
        /// Where it is.
        server: String,
    },
    /// The answer is not signed: anybody may have sent it.
    #[error("the answer of the DNS server at {server} is not signed")]
    Unsigned {
        /// Where it is.
        server: String,
    },
    /// The answer is signed with another key, or was changed on its way.
    #[error("the answer of the DNS server at {server} has a wrong signature")]
    Forged {
        /// Where it is.
        server: String,
    },
    /// The server does not know the key (BADKEY).
    #[error("the DNS server at {server} does not know the key `{key}` of this algorithm")]
    UnknownKey {
        /// Where it is.
        server: String,
        /// The key's name.
        key: String,
    },
    /// The server has another secret of that name (BADSIG).
    #[error("the DNS server at {server} has another secret for the key `{key}`")]
    OtherSecret {
        /// Where it is.
        server: String,
        /// The key's name.
        key: String,
    },
    /// The clocks differ too much (BADTIME).
    #[error("the clock of the DNS server at {server} is {secs} s {}", if *ahead { "ahead" } else { "behind" })]
    Clock {
        /// Where it is.
        server: String,
        /// By how much.
        secs: u64,
        /// Whether it is ahead of the own.
        ahead: bool,
    },
    /// The server is not that of the zone (NOTAUTH).
    #[error("the DNS server at {server} is not that of the zone `{zone}`")]
    NotItsZone {
        /// Where it is.
        server: String,
        /// The zone.
        zone: String,
    },
    /// The key may not change that (REFUSED).
    #[error("the DNS server at {server} refuses to change the zone `{zone}` for the key `{key}`")]
    Refused {
        /// Where it is.
        server: String,
        /// The zone.
        zone: String,
        /// The key's name.
        key: String,
    },
    /// A name is outside the zone (NOTZONE).
    #[error("the DNS server at {server} says that a name is outside the zone `{zone}`")]
    Outside {
        /// Where it is.
        server: String,
        /// The zone.
        zone: String,
    },
    /// Any other code.
    #[error("the DNS server at {server} answered {code} for the zone `{zone}`")]
    Answered {
        /// Where it is.
        server: String,
        /// The zone.
        zone: String,
        /// The code's name: `SERVFAIL`.
        code: String,
    },
    /// Somebody else has the name.
    #[error("the name `{name}` is somebody else's in DNS")]
    Taken {
        /// The name.
        name: String,
    },
    /// The server has no zone for an address.
    #[error("the DNS server at {server} has no zone for the name `{name}`")]
    NoZone {
        /// Where it is.
        server: String,
        /// The name.
        name: String,
    },
    /// A name is none of DNS.
    #[error("`{}` is no name of DNS", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// The key is none.
    #[error("the key cannot be used")]
    Key {
        /// Why.
        source: KeyError,
    },
    /// More than a message holds.
    #[error("the zone `{zone}` cannot be given that much at once")]
    TooMuch {
        /// The zone.
        zone: String,
    },
}

impl DnsError {
    /// Whether nobody knows if the server has done what it was asked: no answer that counts came.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Silent { .. }
                | Self::Garbage { .. }
                | Self::Unsigned { .. }
                | Self::Forged { .. }
        )
    }

    /// Whether the server is not there: it need not be asked again at once.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        let gone = matches!(self, Self::Host { .. } | Self::Unreachable { .. });
        gone || matches!(self, Self::Silent { .. } | Self::Garbage { .. })
    }
}
