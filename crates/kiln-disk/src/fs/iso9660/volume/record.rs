// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Directory records.
//!
//! Source: ECMA-119, 9.1.

use super::super::SECTOR;
use super::IsoFsError;
use crate::le::u32_at;

/// Flags of a record: it is a directory, it goes with another file, another part follows.
const DIRECTORY: u8 = 0x02;
const ASSOCIATED: u8 = 0x04;
const MORE: u8 = 0x80;
/// Bytes before the identifier.
const HEAD: usize = 33;

/// Where the bytes of a file or directory are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first logical block.
    pub(super) block: u32,
    /// How many bytes.
    pub(super) len: u32,
}

/// What every record has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) extent: Extent,
    /// Seconds since 1970.
    pub(super) time: i64,
    flags: u8,
    /// Whether its blocks lie between those of others.
    pub(super) interleaved: bool,
}

impl Head {
    /// Reads the head of a record; none if the record is shorter than that.
    pub(super) fn parse(b: &[u8]) -> Option<Self> {
        let b = b.get(..HEAD)?;
        let date = &b[18..25];
        // Extended attributes lie before the contents.
        let skipped = u32::from(b[1]);
        let block = u32_at(b, 2).checked_add(skipped)?;
        let extent = Extent { block, len: u32_at(b, 10) };
        let interleaved = b[26] != 0 || b[27] != 0;
        Some(Self { extent, time: short_time(date), flags: b[25], interleaved })
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    pub(super) fn is_associated(&self) -> bool {
        self.flags & ASSOCIATED != 0
    }

    pub(super) fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }
}

/// One record of a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) head: Head,
    pub(super) identifier: &'a [u8],
    /// What Rock Ridge has to say.
    pub(super) system_use: &'a [u8],
}

/// Returns the records of a directory.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record<'_>>, IsoFsError> {
    let damaged =
        || IsoFsError::Damaged { what: "a directory record has a wrong length".to_owned() };
    let mut all = Vec::new();
    for sector in bytes.chunks(SECTOR) {
        let mut rest = sector;
        // What is left of a sector after the last record is zeros.
        while let Some(&len) = rest.first().filter(|&&len| len != 0) {
            let record = rest.get(..usize::from(len)).ok_or_else(damaged)?;
            rest = &rest[record.len()..];
            let head = Head::parse(record).filter(|_| record.len() > HEAD).ok_or_else(damaged)?;
            let end = HEAD + usize::from(record[32]);
            let identifier = record.get(HEAD..end).ok_or_else(damaged)?;
            // An identifier of even length is followed by a byte that fills up.
            let system_use = record.get(end.next_multiple_of(2)..).unwrap_or_default();
            all.push(Record { head, identifier, system_use });
        }
    }
    Ok(all)
}

/// Returns the seconds since 1970 of a date of seven bytes: ECMA-119, 9.1.5.
pub(super) fn short_time(b: &[u8]) -> i64 {
    let n = |at: usize| b.get(at).copied().map_or(0, i64::from);
    seconds([1900 + n(0), n(1), n(2), n(3), n(4), n(5)], quarter_hours(b.get(6)))
}

/// Returns the seconds since 1970 of a date of 17 bytes, digits: ECMA-119, 8.4.26.1.
pub(super) fn long_time(b: &[u8]) -> i64 {
    let number = |range: std::ops::Range<usize>| {
        let digits = b.get(range).unwrap_or_default().iter();
        digits.fold(0, |n, &b| n * 10 + i64::from(b.wrapping_sub(b'0').min(9)))
    };
    let date = [number(0..4), number(4..6), number(6..8)];
    let clock = [number(8..10), number(10..12), number(12..14)];
    seconds([date[0], date[1], date[2], clock[0], clock[1], clock[2]], quarter_hours(b.get(16)))
}

/// Returns a distance from Greenwich in seconds: a signed number of quarters of an hour.
fn quarter_hours(byte: Option<&u8>) -> i64 {
    i64::from(byte.copied().unwrap_or_default().cast_signed()) * 900
}

fn seconds([year, month, day, hour, minute, second]: [i64; 6], east: i64) -> i64 {
    // Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    let (month, day) = (month.clamp(1, 12), day.clamp(1, 31));
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    days * 86_400 + hour.min(23) * 3600 + minute.min(59) * 60 + second.min(59) - east
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_utc() {
        // date -u -d @1700000000: 2023-11-14 22:13:20; two hours east of Greenwich.
        assert_eq!(short_time(&[123, 11, 14, 22, 13, 20, 0]), 1_700_000_000);
        assert_eq!(short_time(&[123, 11, 15, 0, 13, 20, 8]), 1_700_000_000);
        assert_eq!(long_time(b"2023111422132000\0"), 1_700_000_000);
        assert_eq!(short_time(&[70, 1, 1, 0, 0, 0, 0]), 0);
        // Whatever the bytes.
        let _ = (short_time(&[255; 7]), long_time(&[255; 17]), short_time(&[]), long_time(&[]));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        for len in [1, 2, 17, 19, 25, 26, 27, 33, 255] {
            let mut sector = [0; 40];
            sector[0] = len;
            sector[32] = 9;
            assert!(records(&sector).is_err(), "{len}");
        }
        assert!(records(&[0; 4096]).unwrap().is_empty());
    }
}
