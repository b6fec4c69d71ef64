// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How long each phase of a launch took.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Phases in order, each measured from the start of the whole.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    began: Instant,
    phases: Vec<(String, Duration, Duration)>,
    libvirt_before: Duration,
}

impl Timings {
    /// Begins to measure.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            phases: Vec::new(),
            libvirt_before: kiln_libvirt::time_in_libvirt(),
        }
    }

    /// Runs `work` as the phase `name`.
    pub(crate) fn phase<T>(&mut self, name: &str, work: impl FnOnce() -> T) -> T {
        let from = self.began.elapsed();
        let result = work();
        self.phases.push((name.to_owned(), from, self.began.elapsed()));
        result
    }

    /// Adds a phase that ended just now and began when the last one ended.
    pub(crate) fn lap(&mut self, name: &str) {
        let from = self.phases.last().map_or(Duration::ZERO, |(.., end)| *end);
        self.phases.push((name.to_owned(), from, self.began.elapsed()));
    }

    /// Returns the phases: name, begin, end.
    pub(crate) fn phases(&self) -> &[(String, Duration, Duration)] {
        &self.phases
    }

    /// Returns the time from the start to the end of the last phase.
    pub(crate) fn whole(&self) -> Duration {
        self.phases.iter().map(|(.., end)| *end).max().unwrap_or_default()
    }

    /// Returns the time since the start that was spent inside libvirt's calls, all threads
    /// together.
    pub(crate) fn in_libvirt(&self) -> Duration {
        kiln_libvirt::time_in_libvirt().saturating_sub(self.libvirt_before)
    }

    /// Returns the phases as JSON: milliseconds.
    pub(crate) fn json(&self) -> Value {
        let ms = |d: Duration| (d.as_secs_f64() * 10_000.0).round() / 10.0;
        let phases: Vec<Value> = self
            .phases
            .iter()
            .map(|(name, from, to)| {
                json!({"phase": name, "begin_ms": ms(*from), "took_ms": ms(to.saturating_sub(*from))})
            })
            .collect();
        json!({"phases": phases, "all_ms": ms(self.whole())})
    }
}
