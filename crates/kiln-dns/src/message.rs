// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Messages as values: what an update asks for, and its bytes.
//!
//! Source: RFC 2136: the zone stands where a query has its question, what must hold where it has
//! answers, and what is changed where it has authorities. TTL and class say what a record means.

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, MessageBuilder, PushError};
use domain::base::record::Ttl;
use domain::base::{Name, UnknownRecordData};

use crate::error::DnsError;
use crate::record::{Record, mark, name};

/// A message that is being made.
pub(crate) type Builder = AdditionalBuilder<Vec<u8>>;

/// One record of an update, in the words of RFC 2136.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    name: Name<Vec<u8>>,
    kind: Rtype,
    class: Class,
    ttl: u32,
    data: Vec<u8>,
}

impl Entry {
    /// It must hold that nothing has this name: 2.4.5.
    pub(crate) fn unused(of: &str) -> Result<Self, DnsError> {
        Ok(Self { name: name(of)?, kind: Rtype::ANY, class: Class::NONE, ttl: 0, data: Vec::new() })
    }

    /// It must hold that this record is there, and no other of its type: 2.4.2.
    pub(crate) fn is(record: &Record) -> Result<Self, DnsError> {
        let (kind, data) = record.data.wire()?;
        Ok(Self { name: name(&record.name)?, kind, class: Class::IN, ttl: 0, data })
    }

    /// The record is added: 2.5.1.
    pub(crate) fn add(record: &Record, ttl: u32) -> Result<Self, DnsError> {
        Ok(Self { ttl, ..Self::is(record)? })
    }

    /// The record is taken away, if it is there: 2.5.4.
    pub(crate) fn take(record: &Record) -> Result<Self, DnsError> {
        Ok(Self { class: Class::NONE, ..Self::is(record)? })
    }

    /// The mark of a machine: by class and TTL one of the above.
    pub(crate) fn mark(of: &str, machine: uuid::Uuid) -> Result<Self, DnsError> {
        let data = mark(of, machine)?;
        Ok(Self { name: name(of)?, kind: Rtype::DHCID, class: Class::IN, ttl: 0, data })
    }

    /// The same, to be added.
    pub(crate) fn with_ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }

    /// The same, to be taken away.
    pub(crate) fn taken(self) -> Self {
        Self { class: Class::NONE, ttl: 0, ..self }
    }
}

/// Returns the bytes of an update, not signed yet.
pub(crate) fn update(
    (zone, id): (&str, u16),
    needs: &[Entry],
    changes: &[Entry],
) -> Result<Builder, DnsError> {
    let full = |_: PushError| DnsError::TooMuch { zone: zone.to_owned() };
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    message.header_mut().set_opcode(Opcode::UPDATE);
    let mut zones = message.question();
    zones.push((name(zone)?, Rtype::SOA, Class::IN)).map_err(full)?;
    let mut first = zones.answer();
    for need in needs {
        first.push(record(need, zone)?).map_err(full)?;
    }
    let mut second = first.authority();
    for change in changes {
        second.push(record(change, zone)?).map_err(full)?;
    }
    Ok(second.additional())
}

/// A record as the library takes it.
type Pushed<'a> = (&'a Name<Vec<u8>>, Class, Ttl, UnknownRecordData<&'a [u8]>);

fn record<'a>(entry: &'a Entry, zone: &str) -> Result<Pushed<'a>, DnsError> {
    let data = UnknownRecordData::from_octets(entry.kind, entry.data.as_slice())
        .map_err(|_| DnsError::TooMuch { zone: zone.to_owned() })?;
    Ok((&entry.name, entry.class, Ttl::from_secs(entry.ttl), data))
}

/// Returns the bytes of a question, not signed yet.
pub(crate) fn question((of, kind): (&str, Rtype), id: u16) -> Result<Builder, DnsError> {
    let full = |_: PushError| DnsError::TooMuch { zone: of.to_owned() };
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    let mut questions = message.question();
    questions.push((name(of)?, kind, Class::IN)).map_err(full)?;
    Ok(questions.additional())
}
