// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where something is on a network, as people write it.

use std::net::Ipv6Addr;

/// Returns what stands behind `https://` or `http://`; `None` of what begins with neither.
#[must_use]
pub fn after_scheme(address: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| address.strip_prefix(scheme))
}

/// Takes `HOST`, `HOST:PORT`, `IPV6` and `[IPV6]:PORT` apart. A host with a `:` in it is an IPv6
/// address; of any other nothing is checked. `None` if it is none of these, or the port is 0 or none.
#[must_use]
pub fn host_and_port(word: &str) -> Option<(&str, Option<u16>)> {
    if word.parse::<Ipv6Addr>().is_ok() {
        return Some((word, None));
    }
    let (host, port) = match word.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match word.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (word, None),
        },
    };
    let port = port.map(|port| port.parse().ok().filter(|port| *port > 0));
    match port {
        Some(None) => None,
        known => Some((host, known.flatten())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_of_the_web_is_taken_off() {
        assert_eq!(after_scheme("https://a/b"), Some("a/b"));
        assert_eq!(after_scheme("http://a"), Some("a"));
        for other in ["ftp://a", "a", "https:/a", "HTTP://a", ""] {
            assert_eq!(after_scheme(other), None, "{other}");
        }
    }

    #[test]
    fn a_host_may_have_a_port() {
        for (word, parts) in [
            ("mon1", ("mon1", None)),
            ("10.0.0.1:6789", ("10.0.0.1", Some(6789))),
            ("fd00::1", ("fd00::1", None)),
            ("[fd00::1]", ("fd00::1", None)),
            ("[fd00::1]:53", ("fd00::1", Some(53))),
            ("", ("", None)),
        ] {
            assert_eq!(host_and_port(word), Some(parts), "{word}");
        }
        for wrong in ["a:0", "a:x", "a:", "a:1:2", "a:65536", "[a]:1", "[fd00::1", "[fd00::1]1"] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }
}
