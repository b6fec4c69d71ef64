// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Times as RFC 3339 writes them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days of 400 years, after which the calendar repeats itself.
const CYCLE: u64 = 146_097;

/// Returns `time` in UTC, to the second: `2026-11-21T02:44:23Z`. Times before 1970 become 1970.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: the
/// year begins in March, so that the leap day is its last.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let secs = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, secs) = (secs / 86_400, secs % 86_400);
    // Days since 0000-03-01.
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = cycle * 400 + year + u64::from(month <= 2);
    let (hours, minutes) = (secs / 3_600, secs / 60 % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hours:02}:{minutes:02}:{:02}Z", secs % 60)
}

/// Returns the seconds from 1970 until a time in UTC: `[year, month, day]` and `[hours, minutes,
/// seconds]`. `None` if there is no such time, or it is before 1970 or after 9999.
///
/// Source: as [`rfc3339`], `days_from_civil`.
#[must_use]
pub fn seconds([year, month, day]: [u64; 3], [hours, minutes, secs]: [u64; 3]) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || hours > 23 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length || minutes > 59 || secs > 59 {
        return None;
    }
    let march_year = year - u64::from(month <= 2);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let (cycle, in_cycle) = (march_year / 400, march_year % 400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_cycle = in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + day_of_year;
    let days = (cycle * CYCLE + day_of_cycle).checked_sub(719_468)?;
    Some(days * 86_400 + hours * 3_600 + minutes * 60 + secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn seconds_and_back_are_the_same() {
        for secs in (0..=4_200_000_000).step_by(86_400 * 7 + 3_661) {
            let text = rfc3339(UNIX_EPOCH + Duration::from_secs(secs));
            let numbers: Vec<u64> =
                text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
            let [year, month, day, hours, minutes, second] = numbers[..] else { panic!("{text}") };
            assert_eq!(seconds([year, month, day], [hours, minutes, second]), Some(secs), "{text}");
        }
        for day in [[1969, 12, 31], [2025, 2, 29], [2025, 0, 1], [2025, 4, 31], [10_000, 1, 1]] {
            assert_eq!(seconds(day, [0, 0, 0]), None);
        }
        assert_eq!(seconds([2025, 1, 1], [0, 60, 0]), None);
    }

    /// The outside authority is date(1): `date -u -d @N +%FT%TZ`.
    #[test]
    fn times_are_as_date_prints_them() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_229_063, "2026-11-21T02:44:23Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(secs)), expected);
        }
    }
}
