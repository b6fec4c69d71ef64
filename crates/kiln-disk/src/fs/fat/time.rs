// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Times as a directory entry has them: from 1980 to 2107, in steps of two seconds, here in UTC.

/// Seconds from 1970 to 1980, before which FAT has no time.
const FIRST: i64 = 315_532_800;
/// The last second that FAT has: 2107-12-31 23:59:58.
const LAST: i64 = 4_354_819_198;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Returns clock and date, each little end first, of a time in seconds since 1970. What FAT
/// cannot hold becomes the first of January 1980.
pub(super) fn stamp(seconds: i64) -> [u8; 4] {
    let seconds = if (FIRST..=LAST + 1).contains(&seconds) { seconds } else { FIRST };
    let (days, second) = (seconds / DAY, seconds % DAY);
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = (year - 1980) << 9 | month << 5 | day;
    let clock = ((second / 3600) << 11) | ((second / 60 % 60) << 5) | (second % 60 / 2);
    let [date, clock] =
        [date, clock].map(|n| u16::try_from(n).expect("16 bits by the range").to_le_bytes());
    [clock[0], clock[1], date[0], date[1]]
}

/// Returns the seconds since 1970 of clock and date. A month or day that is none is taken for
/// the nearest that is one.
pub(super) fn seconds([c0, c1, d0, d1]: [u8; 4]) -> i64 {
    let [clock, date] = [[c0, c1], [d0, d1]].map(|b| i64::from(u16::from_le_bytes(b)));
    let year = 1980 + (date >> 9);
    let month = (date >> 5 & 15).clamp(1, 12);
    let day = (date & 31).max(1);
    // The same source, days_from_civil.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted_year / 400, shifted_year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let [hour, minute, second] =
        [(clock >> 11).min(23), (clock >> 5 & 63).min(59), (clock & 31).min(29) * 2];
    days * DAY + hour * 3600 + minute * 60 + second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        // date -u -d @1700000000: 2023-11-14 22:13:20.
        let [t0, t1, d0, d1] = stamp(1_700_000_000);
        assert_eq!(u16::from_le_bytes([d0, d1]), 43 << 9 | 11 << 5 | 14);
        assert_eq!(u16::from_le_bytes([t0, t1]), 22 << 11 | 13 << 5 | 10);
        // date -u -d @951782400: 2000-02-29 00:00:00.
        let [_, _, d0, d1] = stamp(951_782_400);
        assert_eq!(u16::from_le_bytes([d0, d1]), 20 << 9 | 2 << 5 | 29);
        assert_eq!(stamp(0), [0, 0, 33, 0]);
        assert_eq!(stamp(-1), [0, 0, 33, 0]);
        assert_eq!(stamp(i64::MAX), [0, 0, 33, 0]);
    }

    #[test]
    fn times_survive() {
        for time in [FIRST, 951_782_400, 951_868_798, 1_700_000_000, 4_107_542_398, LAST] {
            assert_eq!(seconds(stamp(time)), time);
            assert_eq!(seconds(stamp(time + 1)), time, "odd seconds are cut off");
        }
        assert_eq!(seconds([0; 4]), FIRST);
        assert!(seconds([0xff; 4]) <= LAST);
    }
}
