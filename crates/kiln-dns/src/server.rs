// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A server: one signed message to it, and its answer verified.

use std::net::{SocketAddr, ToSocketAddrs};

use domain::base::Message;
use domain::base::iana::{Rcode, Rtype, TsigRcode};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{ClientTransaction, ValidationError};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::DnsError;
use crate::exchange::exchange;
use crate::key::TsigKey;
use crate::message::{self, Builder, Entry};

/// The port of DNS.
pub const PORT: u16 = 53;

/// A server that takes updates.
#[derive(Clone, Debug)]
pub struct Server {
    host: String,
    port: u16,
    key: TsigKey,
    now: fn() -> u64,
}

/// What a server says to an update whose signature counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// A name is in use that was not to be.
    InUse,
    /// A record is not there that was to be, or others are.
    Differs,
}

impl Server {
    /// Returns the server at a host's name or address, with the key that it knows. `now` returns
    /// the seconds since 1970: signatures hold for some minutes only.
    #[must_use]
    pub fn new((host, port): (&str, u16), key: TsigKey, now: fn() -> u64) -> Self {
        Self { host: host.to_owned(), port, key, now }
    }

    fn shown(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Asks for a change of a zone, if the needs are met.
    pub(crate) fn update(
        &self,
        zone: &str,
        needs: &[Entry],
        changes: &[Entry],
    ) -> Result<Answer, DnsError> {
        let (answer, signed) = self.ask(message::update((zone, id()?), needs, changes)?)?;
        let server = self.shown();
        let (zone, key) = (zone.to_owned(), self.key.name().to_owned());
        match answer.header().rcode() {
            Rcode::NOERROR | Rcode::YXDOMAIN | Rcode::NXRRSET if !signed => {
                Err(DnsError::Unsigned { server })
            }
            Rcode::NOERROR => Ok(Answer::Done),
            Rcode::YXDOMAIN => Ok(Answer::InUse),
            Rcode::NXRRSET => Ok(Answer::Differs),
            Rcode::NOTAUTH => Err(DnsError::NotItsZone { server, zone }),
            Rcode::REFUSED => Err(DnsError::Refused { server, zone, key }),
            Rcode::NOTZONE => Err(DnsError::Outside { server, zone }),
            other => Err(DnsError::Answered { server, zone, code: other.to_string() }),
        }
    }

    /// Returns the zone that a name is in, if it is one of this server's own.
    ///
    /// # Errors
    ///
    /// [`DnsError`]; [`DnsError::NoZone`] if it is not.
    pub fn zone_of(&self, name: &str) -> Result<String, DnsError> {
        let (answer, signed) = self.ask(message::question((name, Rtype::SOA), id()?)?)?;
        let server = self.shown();
        let rcode = answer.header().rcode();
        if !signed && matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Err(DnsError::Unsigned { server });
        }
        // That of the name itself, or that of the zone in which it is not.
        let records = [answer.answer(), answer.authority()].into_iter().flatten();
        let mut all = records.flat_map(|section| section.flatten().collect::<Vec<_>>());
        let soa = all.find(|record| record.rtype() == Rtype::SOA);
        match soa.filter(|_| answer.header().aa()) {
            Some(soa) => Ok(soa.owner().to_string().trim_end_matches('.').to_ascii_lowercase()),
            None => Err(DnsError::NoZone { server, name: name.to_owned() }),
        }
    }

    /// Signs a message, sends it, and returns the answer, and whether it is signed. An answer that
    /// is not signed may say that something failed, and no more.
    fn ask(&self, mut message: Builder) -> Result<(Message<Vec<u8>>, bool), DnsError> {
        let server = self.shown();
        let signer = self.key.signer().map_err(|source| DnsError::Key { source })?;
        let time = Time48::from_u64((self.now)());
        let transaction = ClientTransaction::request(signer, &mut message, time)
            .map_err(|_| DnsError::TooMuch { zone: server.clone() })?;
        let bytes = self.send(message.as_slice())?;
        let garbage = |_| DnsError::Garbage { server: server.clone() };
        let mut answer = Message::from_octets(bytes).map_err(garbage)?;
        let key = self.key.name().to_owned();
        match transaction.answer(&mut answer, Time48::from_u64((self.now)())) {
            Ok(()) => Ok((answer, true)),
            Err(ValidationError::ServerUnsigned) => Ok((answer, false)),
            Err(ValidationError::ServerBadKey) => Err(DnsError::UnknownKey { server, key }),
            Err(ValidationError::ServerBadSig) => Err(DnsError::OtherSecret { server, key }),
            Err(_) => Err(match bad_time(&answer) {
                Some((own, theirs)) => {
                    let secs = own.abs_diff(theirs);
                    DnsError::Clock { server, secs, ahead: theirs > own }
                }
                None => DnsError::Forged { server },
            }),
        }
    }

    /// Sends a message to the first of the host's addresses where somebody answers.
    fn send(&self, message: &[u8]) -> Result<Vec<u8>, DnsError> {
        let nowhere = |source| DnsError::Host { host: self.host.clone(), source };
        let found = (self.host.as_str(), self.port).to_socket_addrs().map_err(nowhere)?;
        let addresses: Vec<SocketAddr> = found.collect();
        let mut last = nowhere(std::io::ErrorKind::NotFound.into());
        for address in addresses {
            match exchange(address, message) {
                Err(error) => last = error,
                done => return done,
            }
        }
        Err(last)
    }
}

/// Returns the own time and the server's, if it says that they differ too much. Its signature is not
/// verified: domain 0.12.3 takes eight bytes of that time into it, where RFC 8945 (4.2) has six. To
/// be believed it need not be, since nothing was done.
fn bad_time(answer: &Message<Vec<u8>>) -> Option<(u64, u64)> {
    let mut all = answer.additional().ok()?.flatten();
    let found = all.find_map(|record| record.into_record::<Tsig<_, _>>().ok().flatten())?;
    let tsig = found.data();
    let said = answer.header().rcode() == Rcode::NOTAUTH && tsig.error() == TsigRcode::BADTIME;
    let theirs = tsig.other_time().filter(|_| said)?;
    Some((tsig.time_signed().into(), theirs.into()))
}

/// Returns a number that nobody guesses: who does not see the question cannot answer it.
fn id() -> Result<u16, DnsError> {
    let mut id = [0; 2];
    let failed = |_| DnsError::Unreachable {
        server: "a source of random numbers".to_owned(),
        source: std::io::ErrorKind::Other.into(),
    };
    SystemRandom::new().fill(&mut id).map_err(failed)?;
    Ok(u16::from_be_bytes(id))
}
