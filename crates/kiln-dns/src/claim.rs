// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A name taken, changed and given back, so that nobody else's is touched.
//!
//! Source: RFC 4703, 5.3 to 5.5, which DHCP servers follow: a name is taken if nothing has it; what is
//! taken bears a mark (DHCID), in the same message; what bears one's own mark may be changed. Server
//! and zone hold to that, whatever several clients do at once, and however often one asks again.
//! An address's name (PTR) bears no mark: it is taken if nothing has it, and taken back by its value.

use uuid::Uuid;

use crate::error::DnsError;
use crate::message::Entry;
use crate::record::{Data, Record};
use crate::server::{Answer, Server};

/// A machine's name in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The zone.
    pub zone: &'a str,
    /// The name, with its zone.
    pub name: &'a str,
    /// The machine.
    pub machine: Uuid,
    /// How long others keep what they are told, in seconds.
    pub ttl: u32,
}

/// What became of records that are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// They are gone.
    Gone,
    /// The name is not the machine's any more: it was left as it is.
    NotOurs,
}

impl Claim<'_> {
    fn taken(&self) -> DnsError {
        DnsError::Taken { name: self.name.to_owned() }
    }

    fn record(&self, data: &Data) -> Record {
        Record { zone: self.zone.to_owned(), name: self.name.to_owned(), data: data.clone() }
    }

    /// Asks whether the name could be taken. Nothing is changed; server, zone and key are seen to
    /// be right.
    ///
    /// # Errors
    ///
    /// [`DnsError`]; [`DnsError::Taken`] if somebody has it.
    pub fn check(&self, server: &Server) -> Result<(), DnsError> {
        match server.update(self.zone, &[Entry::unused(self.name)?], &[])? {
            Answer::Done => Ok(()),
            _ => Err(self.taken()),
        }
    }

    /// Takes the name, or changes it if it is the machine's: `new` stands behind it then, and `old`
    /// no more.
    ///
    /// # Errors
    ///
    /// [`DnsError`]; [`DnsError::Taken`] if somebody else has it.
    pub fn put(&self, server: &Server, old: &[Data], new: &[Data]) -> Result<(), DnsError> {
        let mark = Entry::mark(self.name, self.machine)?;
        let add = new.iter().map(|data| Entry::add(&self.record(data), self.ttl));
        let add = add.collect::<Result<Vec<_>, _>>()?;
        let marked = mark.clone().with_ttl(self.ttl);
        let first: Vec<Entry> = add.iter().cloned().chain([marked]).collect();
        if server.update(self.zone, &[Entry::unused(self.name)?], &first)? == Answer::Done {
            return Ok(());
        }
        let gone = old.iter().filter(|data| !new.contains(data));
        let gone = gone.map(|data| Entry::take(&self.record(data)));
        let changes: Vec<Entry> = gone.chain(add.into_iter().map(Ok)).collect::<Result<_, _>>()?;
        match server.update(self.zone, &[mark], &changes)? {
            Answer::Done => Ok(()),
            _ => Err(self.taken()),
        }
    }

    /// Gives the name back: `data` stands behind it no more. What others have put there stays.
    ///
    /// # Errors
    ///
    /// [`DnsError`].
    pub fn withdraw(&self, server: &Server, data: &[Data]) -> Result<Withdrawn, DnsError> {
        let mark = Entry::mark(self.name, self.machine)?;
        let gone = data.iter().map(|data| Entry::take(&self.record(data)));
        let gone: Vec<Entry> = gone.chain([Ok(mark.clone().taken())]).collect::<Result<_, _>>()?;
        match server.update(self.zone, &[mark], &gone)? {
            Answer::Done => Ok(Withdrawn::Gone),
            _ => Ok(Withdrawn::NotOurs),
        }
    }
}

/// Asks a server whether it would change a zone: nothing is.
///
/// # Errors
///
/// [`DnsError`].
pub fn try_zone(server: &Server, zone: &str) -> Result<(), DnsError> {
    server.update(zone, &[], &[]).map(drop)
}

/// Has an address's name lead to a machine's.
///
/// # Errors
///
/// [`DnsError`]; [`DnsError::Taken`] if it leads elsewhere.
pub fn point(server: &Server, record: &Record, ttl: u32) -> Result<(), DnsError> {
    let (unused, add) = (Entry::unused(&record.name)?, Entry::add(record, ttl)?);
    if server.update(&record.zone, &[unused], &[add])? == Answer::Done {
        return Ok(());
    }
    // There already, by an update whose answer was lost.
    match server.update(&record.zone, &[Entry::is(record)?], &[])? {
        Answer::Done => Ok(()),
        _ => Err(DnsError::Taken { name: record.name.clone() }),
    }
}

/// Takes an address's name back. One that leads elsewhere by now stays.
///
/// # Errors
///
/// [`DnsError`].
pub fn unpoint(server: &Server, record: &Record) -> Result<(), DnsError> {
    server.update(&record.zone, &[], &[Entry::take(record)?]).map(drop)
}
