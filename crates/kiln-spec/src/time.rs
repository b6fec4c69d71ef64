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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
