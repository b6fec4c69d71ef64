// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is put into a zone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::Name;
use domain::base::iana::Rtype;
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::error::DnsError;

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name: of an address its machine's.
    Ptr(String),
}

impl Data {
    /// Returns the address's own kind.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::A(ip),
            IpAddr::V6(ip) => Self::Aaaa(ip),
        }
    }

    /// Reads it back from the word and the text that [`Data::word`] and `Display` give.
    #[must_use]
    pub fn parse(word: &str, text: &str) -> Option<Self> {
        match word {
            "A" => Some(Self::A(text.parse().ok()?)),
            "AAAA" => Some(Self::Aaaa(text.parse().ok()?)),
            "PTR" if name(text).is_ok() => Some(Self::Ptr(text.to_owned())),
            _ => None,
        }
    }

    /// Returns the type of record, as zone files have it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::A(_) => "A",
            Self::Aaaa(_) => "AAAA",
            Self::Ptr(_) => "PTR",
        }
    }

    /// Returns the type and the bytes of a message.
    pub(crate) fn wire(&self) -> Result<(Rtype, Vec<u8>), DnsError> {
        Ok(match self {
            Self::A(ip) => (Rtype::A, ip.octets().to_vec()),
            Self::Aaaa(ip) => (Rtype::AAAA, ip.octets().to_vec()),
            Self::Ptr(to) => (Rtype::PTR, name(to)?.as_slice().to_vec()),
        })
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(ip) => ip.fmt(f),
            Self::Aaaa(ip) => ip.fmt(f),
            Self::Ptr(name) => f.write_str(name),
        }
    }
}

/// A record of a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The zone, without a dot at its end.
    pub zone: String,
    /// The name, with its zone.
    pub name: String,
    /// What stands behind it.
    pub data: Data,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.data.word(), self.data)
    }
}

/// Returns the name behind which the machine of an address stands: RFC 1035, 3.5, and RFC 3596, 2.5.
#[must_use]
pub fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let text: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            text + "ip6.arpa"
        }
    }
}

/// Reads a name of DNS.
pub(crate) fn name(text: &str) -> Result<Name<Vec<u8>>, DnsError> {
    Name::vec_from_str(text).map_err(|_| DnsError::Name { name: text.to_owned() })
}

/// Returns the data of the record that marks a name as a machine's: DHCID, RFC 4701, 3.5, of the
/// machine's UUID as a DUID (RFC 6355) and the name. DHCP servers mark so what they put into a zone,
/// and heed each other's marks.
pub(crate) fn mark(of: &str, machine: Uuid) -> Result<Vec<u8>, DnsError> {
    // Identifier type 2: a DUID. Digest type 1: SHA-256. DUID type 4: a UUID.
    let mut of = name(of)?;
    of.make_canonical();
    let identifier = [&[0, 4][..], machine.as_bytes(), of.as_slice()].concat();
    Ok([&[0, 2, 1][..], digest(&SHA256, &identifier).as_ref()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_names_too() {
        let of = |ip: &str| reverse(ip.parse().unwrap());
        assert_eq!(of("10.1.2.3"), "3.2.1.10.in-addr.arpa");
        let six = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        // The example of RFC 3596, 2.5, is another address of the same shape.
        assert_eq!(of("2001:db8::567:89ab"), six);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (word, text) in [("A", "10.0.0.1"), ("AAAA", "fd00::1"), ("PTR", "web1.lab.example")] {
            let data = Data::parse(word, text).unwrap();
            assert_eq!((data.word(), data.to_string().as_str()), (word, text));
        }
        for (word, text) in [("A", "fd00::1"), ("AAAA", "x"), ("PTR", "a..b"), ("TXT", "x")] {
            assert_eq!(Data::parse(word, text), None, "{word} {text}");
        }
    }

    #[test]
    fn a_mark_is_of_one_machine_and_one_name_however_it_is_written() {
        let of = |name: &str, machine| mark(name, Uuid::from_u128(machine)).unwrap();
        assert_eq!(of("web1.lab.example", 7), of("WEB1.Lab.example", 7));
        assert_ne!(of("web1.lab.example", 7), of("web1.lab.example", 8));
        assert_ne!(of("web1.lab.example", 7), of("web2.lab.example", 7));
        assert_eq!(of("web1.lab.example", 7).len(), 35);
    }

    /// RFC 4701, 3.6.1: the example of a DHCPv6 client, with the same digest made by hand.
    #[test]
    fn a_mark_is_the_digest_that_the_standard_says() {
        let duid = [0, 1, 0, 6, 0x41, 0x2d, 0xf1, 0x66, 1, 2, 3, 4, 5, 6];
        let fqdn = name("chi6.example.com").unwrap();
        let all = [&duid[..], fqdn.as_slice()].concat();
        let rdata = [&[0, 2, 1][..], digest(&SHA256, &all).as_ref()].concat();
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(rdata);
        assert_eq!(text, "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=");
    }
}
