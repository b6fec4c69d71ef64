// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A moment of an archive of mirrors.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WordError;
use crate::time;

/// A moment, as snapshot.debian.org and snapshot.ubuntu.com write it: `20250101T000000Z`. A mirror
/// of that archive is as the real one was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Snapshot {
    text: String,
    seconds: u64,
}

impl Snapshot {
    /// Returns it as it stands in an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns it in seconds since 1970.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.seconds
    }
}

impl FromStr for Snapshot {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        let number = |at: std::ops::Range<usize>| word.get(at)?.parse::<u64>().ok();
        let digits = word.bytes().enumerate().all(|(n, byte)| match n {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        let seconds = || {
            let day = [number(0..4)?, number(4..6)?, number(6..8)?];
            time::seconds(day, [number(9..11)?, number(11..13)?, number(13..15)?])
        };
        match seconds().filter(|_| digits && word.len() == 16) {
            Some(seconds) => Ok(Self { text: word.to_owned(), seconds }),
            None => Err(WordError {
                word: word.to_owned(),
                what: "snapshot",
                why: "it is a time in UTC like `20250101T000000Z`, from 1970 on",
            }),
        }
    }
}

impl TryFrom<String> for Snapshot {
    type Error = WordError;

    fn try_from(word: String) -> Result<Self, WordError> {
        word.parse()
    }
}

impl From<Snapshot> for String {
    fn from(snapshot: Snapshot) -> Self {
        snapshot.text
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_a_time_that_there_was() {
        let good: Snapshot = "20250101T000000Z".parse().unwrap();
        assert_eq!((good.as_str(), good.seconds()), ("20250101T000000Z", 1_735_689_600));
        for wrong in [
            "",
            "2025-01-01",
            "20250101",
            "20250101T000000",
            "20250101t000000z",
            "20251301T000000Z",
            "20250229T000000Z",
            "20250101T240000Z",
            "19691231T235959Z",
            "2025010+T000000Z",
            "20250101T000000Z/",
            "ü0250101T00000Z",
        ] {
            assert!(wrong.parse::<Snapshot>().is_err(), "{wrong}");
        }
    }
}
