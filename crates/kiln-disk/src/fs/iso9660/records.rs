// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers, dates and directory records as bytes.

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Returns a number in both byte orders, little end first: ECMA-119, 7.2.3.
pub(super) fn both16(n: u16) -> [u8; 4] {
    let (l, b) = (n.to_le_bytes(), n.to_be_bytes());
    [l[0], l[1], b[0], b[1]]
}

/// Returns a number in both byte orders, little end first: ECMA-119, 7.3.3.
pub(super) fn both32(n: u32) -> [u8; 8] {
    let (l, b) = (n.to_le_bytes(), n.to_be_bytes());
    [l[0], l[1], l[2], l[3], b[0], b[1], b[2], b[3]]
}

/// A point in time, as the two forms that ECMA-119 has. Always UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// As in a directory record: 9.1.5.
    pub(super) short: [u8; 7],
    /// As in a volume descriptor: 8.4.26.1.
    pub(super) long: [u8; 17],
}

impl Stamp {
    /// Returns the time that is `secs` seconds after 1970, or `None` after the year 2155, which
    /// is the last that the short form can hold.
    pub(super) fn new(secs: u64) -> Option<Self> {
        let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
        let (year, month, day) = civil(secs / DAY);
        let since_1900 = u8::try_from(year.checked_sub(1900)?).ok()?;
        let small = |n: u64| u8::try_from(n).expect("months, days, hours and minutes are small");
        let mut long = [b'0'; 17];
        let digits = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
        long[..14].copy_from_slice(digits.as_bytes());
        // The distance from Greenwich, in quarters of an hour: a number, not a digit.
        long[16] = 0;
        let short =
            [since_1900, small(month), small(day), small(hour), small(minute), small(second), 0];
        Some(Self { short, long })
    }
}

/// Returns year, month and day of a day counted from 1970-01-01.
///
/// The months are counted from March, so that the leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next, month, day)
}

/// Where the bytes of a file or folder are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first sector.
    pub(super) sector: u32,
    /// How many bytes.
    pub(super) len: u32,
}

/// Returns the length of a directory record before its system use field: ECMA-119, 9.1.
pub(super) fn record_head_len(identifier: &[u8]) -> usize {
    (33 + identifier.len()).next_multiple_of(2)
}

/// Returns a directory record: ECMA-119, 9.1.
///
/// `system_use` must leave the record at no more than 255 bytes.
pub(super) fn record(
    identifier: &[u8],
    extent: Extent,
    is_folder: bool,
    stamp: &Stamp,
    system_use: &[u8],
) -> Vec<u8> {
    let small = |n: usize| u8::try_from(n).expect("identifiers and system use are kept short");
    let mut out = vec![0, 0];
    out.extend(both32(extent.sector));
    out.extend(both32(extent.len));
    out.extend(stamp.short);
    out.extend([if is_folder { 2 } else { 0 }, 0, 0]);
    out.extend(both16(1));
    out.push(small(identifier.len()));
    out.extend(identifier);
    out.resize(record_head_len(identifier), 0);
    out.extend(system_use);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out[0] = small(out.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        // As `date -u -d @…` has them.
        for (secs, date) in [
            (0, "19700101000000"),
            (951_782_400, "20000229000000"),
            (1_709_251_199, "20240229235959"),
            (1_709_251_200, "20240301000000"),
            (4_107_542_400, "21000301000000"),
            (5_869_583_999, "21551231235959"),
        ] {
            assert_eq!(&Stamp::new(secs).unwrap().long[..14], date.as_bytes());
        }
        assert_eq!(Stamp::new(1_709_251_199).unwrap().short, [124, 2, 29, 23, 59, 59, 0]);
        assert_eq!(Stamp::new(5_869_584_000), None);
        assert_eq!(Stamp::new(u64::MAX), None);
    }
}
