// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's URIs, taken apart.
//!
//! Source: <https://libvirt.org/uri.html>:
//! `driver[+transport]://[user@][host][:port]/path[?name=value&…]`.

use std::fmt;
use std::str::FromStr;

/// How a client reaches libvirt's daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// A Unix socket of this host (no transport in the URI and no host, or `unix`).
    Local,
    /// `ssh`: the `ssh` program.
    Ssh,
    /// `libssh` or `libssh2`: a library that speaks SSH.
    LibSsh,
    /// `tls`, or a host without a transport.
    Tls,
    /// `tcp`: in the clear.
    Tcp,
    /// Another word.
    Other(String),
}

/// A URI of libvirt.
///
/// # Examples
///
/// ```
/// use kiln_libvirt::uri::{Transport, Uri};
///
/// let uri: Uri = "qemu+ssh://ops@vm1:2222/system?keyfile=/k%20ey".parse()?;
/// assert_eq!(uri.transport, Transport::Ssh);
/// assert_eq!((uri.user.as_deref(), uri.host.as_deref()), (Some("ops"), Some("vm1")));
/// assert_eq!((uri.port, uri.path.as_str()), (Some(2222), "/system"));
/// assert_eq!(uri.param("keyfile"), Some("/k ey"));
/// # Ok::<(), kiln_libvirt::uri::UriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// The hypervisor's driver: `qemu`, `test`, …
    pub driver: String,
    /// How the daemon is reached.
    pub transport: Transport,
    /// Who logs in there.
    pub user: Option<String>,
    /// The daemon's host; without brackets if it is an IPv6 address.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// `/system`, `/session`, `/default`, …
    pub path: String,
    /// What follows `?`, decoded, in order.
    pub params: Vec<(String, String)>,
    text: String,
}

/// Why a text is no URI of libvirt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// There is no `driver:`, or it holds what a scheme cannot.
    #[error("`{uri}` does not begin with a driver, as `qemu:///system` does")]
    Driver {
        /// The text.
        uri: String,
    },
    /// The port is no number of a port.
    #[error("`{uri}` has the port `{port}`, which is none")]
    Port {
        /// The text.
        uri: String,
        /// The port.
        port: String,
    },
    /// A `%` without two hexadecimal digits of UTF-8 after it.
    #[error("`{uri}` has a `%` that stands for no character")]
    Percent {
        /// The text.
        uri: String,
    },
}

impl Uri {
    /// Returns the first value of a parameter after `?`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// Returns whether the text asks for a user's own daemon.
    ///
    /// For root on the daemon's side, libvirt takes `/session` for `/system`:
    /// [`crate::Connection::is_session`] knows.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.path == "/session"
    }

    /// Returns whether the daemon runs on this host, so that its files and ports are ours, too.
    /// A socket that is named (`?socket=`) may lead anywhere and does not count.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.transport == Transport::Local && self.param("socket").is_none()
    }

    /// Returns the text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let wrong_driver = || UriError::Driver { uri: text.to_owned() };
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong_driver)?;
        let (driver, transport) = match scheme.split_once('+') {
            Some((driver, transport)) => (driver, Some(transport)),
            None => (scheme, None),
        };
        let word = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric());
        if !word(driver) || transport.is_some_and(|t| !word(t)) {
            return Err(wrong_driver());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = split_authority(rest);
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address);
        let port = match port {
            "" => None,
            port => Some(
                port.parse()
                    .map_err(|_| UriError::Port { uri: text.to_owned(), port: port.to_owned() })?,
            ),
        };
        let decoded = |s: &str| decode(s).ok_or_else(|| UriError::Percent { uri: text.to_owned() });
        let mut params = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self {
            driver: driver.to_owned(),
            transport: kind(transport, !host.is_empty()),
            user: user.map(decoded).transpose()?.filter(|u| !u.is_empty()),
            host: Some(host.to_owned()).filter(|h| !h.is_empty()),
            port,
            path: decoded(path)?,
            params,
            text: text.to_owned(),
        })
    }
}

/// The part between `//` and the path, and the path.
fn split_authority(rest: &str) -> (&str, &str) {
    match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    }
}

/// A host (without brackets) and a port (empty if there is none).
fn split_port(address: &str) -> (&str, &str) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        return (host, rest.strip_prefix(':').unwrap_or(rest));
    }
    address.split_once(':').unwrap_or((address, ""))
}

fn kind(transport: Option<&str>, has_host: bool) -> Transport {
    match transport {
        None if has_host => Transport::Tls,
        None | Some("unix") => Transport::Local,
        Some("ssh") => Transport::Ssh,
        Some("libssh" | "libssh2") => Transport::LibSsh,
        Some("tls") => Transport::Tls,
        Some("tcp") => Transport::Tcp,
        Some(other) => Transport::Other(other.to_owned()),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn local_hosts() {
        for text in ["qemu:///system", "qemu:///session", "qemu+unix:///system", "test:///default"]
        {
            let uri = uri(text);
            assert_eq!(uri.transport, Transport::Local, "{text}");
            assert!(uri.is_local(), "{text}");
            assert_eq!(uri.host, None, "{text}");
            assert_eq!(uri.to_string(), text);
        }
        assert!(uri("qemu:///session").is_session());
        assert!(!uri("qemu:///system").is_session());
        assert!(!uri("qemu+unix:///system?socket=/tmp/tunnel").is_local());
    }

    #[test]
    fn remote_hosts() {
        let u = uri("qemu+ssh://root@[fe80::1]:22/system?no_verify=1&keyfile=/a%26b&no_tty");
        assert_eq!(u.transport, Transport::Ssh);
        assert_eq!(u.host.as_deref(), Some("fe80::1"));
        assert_eq!((u.port, u.path.as_str()), (Some(22), "/system"));
        assert_eq!(u.user.as_deref(), Some("root"));
        assert_eq!(u.param("keyfile"), Some("/a&b"));
        assert_eq!(u.param("no_tty"), Some(""));
        assert_eq!(u.param("socket"), None);
        assert!(!u.is_local());
        assert_eq!(uri("qemu://vm1/system").transport, Transport::Tls);
        assert_eq!(uri("qemu+tcp://vm1/system").transport, Transport::Tcp);
        assert_eq!(uri("qemu+libssh2://vm1/system").transport, Transport::LibSsh);
        assert_eq!(uri("qemu+ext:///system").transport, Transport::Other("ext".to_owned()));
        assert_eq!(uri("qemu+ssh://vm1").path, "");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let error = |text: &str| text.parse::<Uri>().unwrap_err().to_string();
        assert_eq!(error("vm1"), "`vm1` does not begin with a driver, as `qemu:///system` does");
        assert_eq!(
            error("qe mu:///system"),
            "`qe mu:///system` does not begin with a driver, as `qemu:///system` does"
        );
        assert_eq!(
            error("qemu+ssh://a:99999/system"),
            "`qemu+ssh://a:99999/system` has the port `99999`, which is none"
        );
        assert_eq!(
            error("qemu:///system?a=%+1"),
            "`qemu:///system?a=%+1` has a `%` that stands for no character"
        );
    }
}
