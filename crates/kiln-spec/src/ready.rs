// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is to be proven of a machine before it counts as ready.

use std::fmt;
use std::str::FromStr;

/// One thing to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReadyCheck {
    /// The guest agent answers.
    Agent,
    /// cloud-init has ended well.
    CloudInit,
    /// A login by SSH works.
    Ssh,
    /// Something answers on this TCP port of the machine.
    Tcp(u16),
}

/// Why a word is no [`ReadyCheck`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is nothing to wait for: there are `agent`, `cloud-init`, `ssh` and `tcp:PORT`")]
pub struct ReadyError {
    text: String,
}

impl FromStr for ReadyCheck {
    type Err = ReadyError;

    fn from_str(text: &str) -> Result<Self, ReadyError> {
        match text {
            "agent" => return Ok(Self::Agent),
            "cloud-init" => return Ok(Self::CloudInit),
            "ssh" => return Ok(Self::Ssh),
            _ => {}
        }
        // No sign, no zero before it: as ports are written elsewhere.
        let port =
            text.strip_prefix("tcp:").filter(|port| port.starts_with(|c| matches!(c, '1'..='9')));
        let port = port.and_then(|port| port.parse().ok());
        port.map(Self::Tcp).ok_or_else(|| ReadyError { text: text.to_owned() })
    }
}

impl fmt::Display for ReadyCheck {
    /// Writes it as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("agent"),
            Self::CloudInit => f.write_str("cloud-init"),
            Self::Ssh => f.write_str("ssh"),
            Self::Tcp(port) => write!(f, "tcp:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["agent", "cloud-init", "ssh", "tcp:1", "tcp:65535"] {
            assert_eq!(word.parse::<ReadyCheck>().unwrap().to_string(), word);
        }
        for word in ["", "tcp", "tcp:", "tcp:0", "tcp:65536", "tcp:+1", "tcp:01", "udp:53", "Agent"]
        {
            let error = word.parse::<ReadyCheck>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{word}` is nothing to wait for")), "{error}");
        }
    }
}
