// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hardware addresses.

use std::fmt;
use std::str::FromStr;

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// Why a text is no hardware address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no hardware address (six hexadecimal bytes with `:` between them)")]
pub struct MacError {
    text: String,
}

impl Mac {
    /// Returns an address of the block that QEMU and libvirt use (`52:54:00`) with the given
    /// end, which should be random.
    #[must_use]
    pub const fn qemu(end: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0x00, end[0], end[1], end[2]])
    }

    /// Whether it stands for several receivers, and so for no interface: IEEE 802, the lowest bit
    /// of the first byte.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let wrong = || MacError { text: text.to_owned() };
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(wrong)?;
            if !part.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}
