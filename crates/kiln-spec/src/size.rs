// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sizes in bytes, and how people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes.
///
/// Written `10GiB`, `10G`, `512MiB`, `512M`, `64K`, `1T` (powers of 1024, as in qemu-img and
/// libvirt) or `1048576B`; a bare number is refused, since nobody can know its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// The units that are read and shown, biggest first.
const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Bytes {
    /// Returns `mib` MiB.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// Returns `gib` GiB.
    #[must_use]
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib << 30)
    }

    /// Returns this size rounded up to a multiple of `unit`, or `None` beyond 2⁶⁴.
    #[must_use]
    pub fn round_up(self, unit: Self) -> Option<Self> {
        self.0.checked_next_multiple_of(unit.0).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, shift) in UNITS {
            let unit = 1_u64 << shift;
            if self.0 >= unit || shift == 0 {
                let whole = self.0 / unit;
                // Tenths, rounded down: 1.9 GiB is never shown as 2 GiB.
                let tenths = u128::from(self.0 % unit) * 10 / u128::from(unit);
                return if tenths == 0 {
                    write!(f, "{whole} {name}")
                } else {
                    write!(f, "{whole}.{tenths} {name}")
                };
            }
        }
        Ok(())
    }
}

/// Why a size could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// There is no unit.
    #[error("`{text}` has no unit; write `{text}MiB` or `{text}GiB`")]
    NoUnit {
        /// What was written.
        text: String,
    },
    /// It is not a number with a unit.
    #[error("`{text}` is no size; write it like `2GiB`, `512MiB` or `20G`")]
    NotASize {
        /// What was written.
        text: String,
    },
    /// It does not fit 64 bits.
    #[error("`{text}` is larger than any disk: the most is 8 EiB")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

impl FromStr for Bytes {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let written = text.trim();
        let not_a_size = || SizeError::NotASize { text: written.to_owned() };
        let digits =
            written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
        let (number, unit) = (&written[..digits], written[digits..].trim());
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" if !number.is_empty() => return Err(SizeError::NoUnit { text: written.to_owned() }),
            "b" => 0,
            "k" | "kib" => 10,
            "m" | "mib" => 20,
            "g" | "gib" => 30,
            "t" | "tib" => 40,
            _ => return Err(not_a_size()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > 9 || fraction.contains('.') || number.ends_with('.')
        {
            return Err(not_a_size());
        }
        let too_large = || SizeError::TooLarge { text: written.to_owned() };
        let whole: u64 = whole.parse().map_err(|_| too_large())?;
        let tenth_power = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| not_a_size())?);
        let part: u128 =
            if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| not_a_size())? };
        let bytes = (u128::from(whole) << shift) + (part << shift) / tenth_power;
        match u64::try_from(bytes) {
            Ok(bytes) if bytes <= 1 << 63 => Ok(Self(bytes)),
            _ => Err(too_large()),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    /// Reads `"2GiB"` (in files that people write) or a number of bytes (in files that Kiln
    /// writes).
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `2GiB`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        from.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("10G", 10 << 30),
            ("512m", 512 << 20),
            ("1.5 GiB", 3 << 29),
            ("64K", 65_536),
            ("0B", 0),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_named() {
        let error = |text: &str| text.parse::<Bytes>().unwrap_err().to_string();
        assert_eq!(error("10"), "`10` has no unit; write `10MiB` or `10GiB`");
        assert_eq!(error("ten"), "`ten` is no size; write it like `2GiB`, `512MiB` or `20G`");
        assert_eq!(error("99999999T"), "`99999999T` is larger than any disk: the most is 8 EiB");
        assert_eq!(error("-1G"), "`-1G` is no size; write it like `2GiB`, `512MiB` or `20G`");
        assert_eq!(error("1..5G"), "`1..5G` is no size; write it like `2GiB`, `512MiB` or `20G`");
    }

    #[test]
    fn sizes_are_shown_with_one_decimal_at_most() {
        assert_eq!(Bytes(10 << 30).to_string(), "10 GiB");
        assert_eq!(Bytes(3 << 29).to_string(), "1.5 GiB");
        assert_eq!(Bytes((2 << 30) - 1).to_string(), "1.9 GiB");
        assert_eq!(Bytes(0).to_string(), "0 B");
    }
}
