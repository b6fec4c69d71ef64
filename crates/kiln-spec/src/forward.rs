// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A forward: a port of the host that leads to a port of a machine. Written `2201:22`, or
//! `2201:22/udp`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A protocol that has ports.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Returns its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            text => Err(ForwardError::Protocol { text: text.to_owned() }),
        }
    }
}

/// A port of the host, and the port of a machine that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardSpec {
    /// The host's port; not 0.
    pub port: u16,
    /// The machine's port; not 0.
    pub to: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// A port of the host that a forward has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSpec {
    /// The host's port; not 0.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Why a text is no forward.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Not two ports with `:` between them.
    #[error("`{text}` is no forward; write it like `2201:22`, or `5353:53/udp`")]
    Shape {
        /// The text.
        text: String,
    },
    /// No number between 1 and 65535.
    #[error("`{text}` is no port: ports are 1 to 65535")]
    Port {
        /// The text.
        text: String,
    },
    /// No protocol that has ports.
    #[error("`{text}` is no protocol that can be forwarded; there are `tcp` and `udp`")]
    Protocol {
        /// The text.
        text: String,
    },
    /// Counting on leaves the ports that there are.
    #[error("the forward {first} cannot be counted on to machine {number}: ports end at 65535")]
    Counted {
        /// The first machine's.
        first: ForwardSpec,
        /// The machine's number.
        number: u32,
    },
}

impl ForwardSpec {
    /// Returns the forward of the machine of this number, counted from 1: the host's port is
    /// counted on, as addresses are, and the machine's stays.
    ///
    /// # Errors
    ///
    /// [`ForwardError::Counted`] past the last port.
    pub fn counted(self, number: u32) -> Result<Self, ForwardError> {
        let wrong = || ForwardError::Counted { first: self, number };
        let on = u16::try_from(number.saturating_sub(1)).map_err(|_| wrong())?;
        Ok(Self { port: self.port.checked_add(on).ok_or_else(wrong)?, ..self })
    }
}

impl fmt::Display for ForwardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.port, self.to, self.protocol)
    }
}

impl FromStr for ForwardSpec {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let (ports, protocol) = protocol(text)?;
        let shape = || ForwardError::Shape { text: text.to_owned() };
        let (host, to) = ports.split_once(':').ok_or_else(shape)?;
        if to.contains(':') {
            return Err(shape());
        }
        Ok(Self { port: port(host)?, to: port(to)?, protocol })
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

impl FromStr for PortSpec {
    type Err = ForwardError;

    /// Reads `2201` or `2201/udp`; a whole forward does as well.
    fn from_str(text: &str) -> Result<Self, ForwardError> {
        if text.contains(':') {
            let whole: ForwardSpec = text.parse()?;
            return Ok(Self { port: whole.port, protocol: whole.protocol });
        }
        let (digits, protocol) = protocol(text)?;
        Ok(Self { port: port(digits)?, protocol })
    }
}

fn protocol(text: &str) -> Result<(&str, Protocol), ForwardError> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, protocol)) => Ok((ports, protocol.parse()?)),
    }
}

fn port(text: &str) -> Result<u16, ForwardError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0);
    number.ok_or_else(|| ForwardError::Port { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ForwardSpec, String> {
        text.parse().map_err(|error: ForwardError| error.to_string())
    }

    #[test]
    fn ports_and_protocol_are_read() {
        let tcp = ForwardSpec { port: 2201, to: 22, protocol: Protocol::Tcp };
        assert_eq!(read("2201:22"), Ok(tcp));
        assert_eq!(read("2201:22/tcp"), Ok(tcp));
        assert_eq!(read("2201:22/udp"), Ok(ForwardSpec { protocol: Protocol::Udp, ..tcp }));
        assert_eq!(tcp.to_string(), "2201:22/tcp");
        let port: PortSpec = "2201/udp".parse().unwrap();
        assert_eq!(port, PortSpec { port: 2201, protocol: Protocol::Udp });
        assert_eq!("2201:22".parse(), Ok(PortSpec { port: 2201, protocol: Protocol::Tcp }));
    }

    #[test]
    fn what_is_no_forward_is_told_with_what_it_should_be() {
        let shape = |text: &str| {
            Err(format!("`{text}` is no forward; write it like `2201:22`, or `5353:53/udp`"))
        };
        let port = |text: &str| Err(format!("`{text}` is no port: ports are 1 to 65535"));
        for text in ["", "22", "1:2:3", "127.0.0.1:2201:22"] {
            assert_eq!(read(text), shape(text));
        }
        assert_eq!(read("0:22"), port("0"));
        assert_eq!(read("2201:0"), port("0"));
        assert_eq!(read("65536:22"), port("65536"));
        assert_eq!(read("+22:22"), port("+22"));
        assert_eq!(read(":22"), port(""));
        assert_eq!(
            read("53:53/icmp"),
            Err("`icmp` is no protocol that can be forwarded; there are `tcp` and `udp`".into())
        );
    }

    #[test]
    fn ports_are_counted_on_to_the_last() {
        let first: ForwardSpec = "65534:22".parse().unwrap();
        assert_eq!(first.counted(1), Ok(first));
        assert_eq!(first.counted(2).map(|f| f.to_string()), Ok("65535:22/tcp".to_owned()));
        assert_eq!(
            first.counted(3).unwrap_err().to_string(),
            "the forward 65534:22/tcp cannot be counted on to machine 3: ports end at 65535"
        );
    }
}
