// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Timings as a waterfall: when each phase began and how long it took.

use std::time::Duration;

/// Draws phases (name, begin and end since the start of the whole) as lines of at most `width`
/// columns. Ends with the sum.
pub(crate) fn waterfall(phases: &[(String, Duration, Duration)], width: usize) -> Vec<String> {
    let whole = phases.iter().map(|(_, _, end)| *end).max().unwrap_or_default();
    let name_width = phases.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    // Name, two spaces, the time (10 columns), two spaces, the bar.
    let bar_width = width.saturating_sub(name_width + 14).clamp(10, 60);
    let column = |at: Duration| {
        let share = at.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
        (0..bar_width).filter(|&c| c as f64 + 0.5 < share * bar_width as f64).count()
    };
    let mut lines: Vec<String> = phases
        .iter()
        .map(|(name, begin, end)| {
            let from = column(*begin).min(bar_width - 1);
            let to = column(*end).max(from + 1);
            let bar = " ".repeat(from) + &"█".repeat(to - from);
            format!("{name:name_width$}  {:>10}  {bar}", shown(end.saturating_sub(*begin)))
        })
        .collect();
    lines.push(format!("{:name_width$}  {:>10}", "all", shown(whole)));
    lines
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_drawn_where_it_happened() {
        let at = Duration::from_millis;
        let phases = [("disk".to_owned(), at(0), at(500)), ("start".to_owned(), at(500), at(1000))];
        assert_eq!(
            waterfall(&phases, 29),
            ["disk     500.0 ms  █████", "start    500.0 ms       █████", "all        1.00 s"]
        );
    }

    #[test]
    fn the_shortest_phase_is_still_seen() {
        let phases = [("a".to_owned(), Duration::ZERO, Duration::ZERO)];
        assert_eq!(waterfall(&phases, 80)[0], "a      0.0 ms  █");
    }
}
