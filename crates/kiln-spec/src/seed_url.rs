// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where machines fetch their seeds.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::name::MachineName;
use crate::place::after_scheme;

/// The address below which machines find their seeds; ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct SeedUrl(String);

/// Why a word is no [`SeedUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a server; write it like `http://192.168.122.1:8000/`")]
pub struct SeedUrlError {
    text: String,
}

impl SeedUrl {
    /// Returns the address of a machine's seed.
    #[must_use]
    pub fn of(&self, name: &MachineName) -> String {
        format!("{}{name}/", self.0)
    }

    /// Returns the server's host and port.
    #[must_use]
    pub fn server(&self) -> (String, u16) {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let usual = if scheme == "https" { 443 } else { 80 };
        let place = rest.split('/').next().unwrap_or_default();
        let place = place.rsplit('@').next().unwrap_or_default();
        let (host, port) = match place.rsplit_once(':') {
            // A colon inside of brackets is one of an IPv6 address.
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(usual)),
            _ => (place, usual),
        };
        (host.trim_matches(['[', ']']).to_owned(), port)
    }
}

impl FromStr for SeedUrl {
    type Err = SeedUrlError;

    fn from_str(text: &str) -> Result<Self, SeedUrlError> {
        // The guest takes `;` for the end of the address, and `%s` for a place in it.
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\";%#?".contains(&b));
        match after_scheme(text) {
            Some(host) if plain && !host.starts_with('/') && !host.is_empty() => {
                Ok(Self(format!("{}/", text.trim_end_matches('/'))))
            }
            _ => Err(SeedUrlError { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for SeedUrl {
    type Error = SeedUrlError;

    fn try_from(text: String) -> Result<Self, SeedUrlError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_seeds_end_with_a_slash() {
        let name = "web1".parse().unwrap();
        let of = |text: &str| text.parse::<SeedUrl>().map(|url| url.of(&name));
        assert_eq!(of("http://10.0.0.1:8000").unwrap(), "http://10.0.0.1:8000/web1/");
        let server = |text: &str| text.parse::<SeedUrl>().unwrap().server();
        assert_eq!(server("http://10.0.0.1:8000/x"), ("10.0.0.1".into(), 8000));
        assert_eq!(server("https://[fd00::1]/"), ("fd00::1".into(), 443));
        assert_eq!(server("http://[fd00::1]:80"), ("fd00::1".into(), 80));
        assert_eq!(of("https://a/b/").unwrap(), "https://a/b/web1/");
        for wrong in [
            "network",
            "http://",
            "http:///x",
            "ftp://a",
            "http://a;b",
            "http://a/%s",
            "http://a b",
        ] {
            assert!(
                of(wrong).unwrap_err().to_string().contains("is no address of a server"),
                "{wrong}"
            );
        }
    }
}
