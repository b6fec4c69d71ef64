// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A DNS server that machines are registered with: what a user calls it, and where it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::place::host_and_port;
use crate::word::{WordError, is_file_word, is_word, word};

/// The port of DNS.
const PORT: u16 = 53;

word!(
    /// What the user calls a DNS server. It is that of a file, too.
    DnsServerName,
    "name of a DNS server",
    "it begins with a letter or digit, and has letters, digits, `-`, `_` and `.`, at most 200",
    is_file_word
);

/// Where a DNS server is: `ns1.example`, `10.0.0.1:5353`, `[fd00::1]:53`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsAddress {
    /// Its name or address.
    pub host: String,
    /// Its port: 53 if none was named.
    pub port: u16,
}

impl FromStr for DnsAddress {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let wrong = || WordError {
            word: word.to_owned(),
            what: "address of a DNS server",
            why: "it is a host's name or address, and `:` and a port if that is not 53",
        };
        let (host, port) = host_and_port(word).ok_or_else(wrong)?;
        let port = port.unwrap_or(PORT);
        if host.contains(':') || is_word(host, 253, ".-") {
            Ok(Self { host: host.to_owned(), port })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for DnsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (false, PORT) => f.write_str(&self.host),
            (false, port) => write!(f, "{}:{port}", self.host),
            (true, port) => write!(f, "[{}]:{port}", self.host),
        }
    }
}

impl TryFrom<String> for DnsAddress {
    type Error = WordError;

    fn try_from(word: String) -> Result<Self, WordError> {
        word.parse()
    }
}

impl From<DnsAddress> for String {
    fn from(address: DnsAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_by_a_word_that_is_no_path() {
        for fine in ["lab", "ns1.example", "a_b-c"] {
            assert!(fine.parse::<DnsServerName>().is_ok(), "{fine}");
        }
        for wrong in ["", "../x", ".x", "a/b", "a b"] {
            assert!(wrong.parse::<DnsServerName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_has_the_usual_port_unless_it_says_another() {
        let read = |word: &str| {
            let address: DnsAddress = word.parse().unwrap();
            assert_eq!(address.to_string().parse(), Ok(address.clone()), "{word}");
            (address.host, address.port)
        };
        assert_eq!(read("ns1.example"), ("ns1.example".into(), 53));
        assert_eq!(read("10.0.0.1:5353"), ("10.0.0.1".into(), 5353));
        assert_eq!(read("fd00::1"), ("fd00::1".into(), 53));
        assert_eq!(read("[fd00::1]:5353"), ("fd00::1".into(), 5353));
        for wrong in
            ["", "a b", "ns1:0", "ns1:x", "ns1:1:2", "[fd00::1", "[fd00::1]x", "[ns1]:53", "-x"]
        {
            assert!(wrong.parse::<DnsAddress>().is_err(), "{wrong}");
        }
    }
}
