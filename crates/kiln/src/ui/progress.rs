// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One task's progress: a spinner line on a terminal, plain lines in a pipe.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);
/// The least time between two plain lines about the same phase.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// What is shown of a task under way.
#[derive(Debug)]
pub(crate) struct Task {
    how: How,
}

#[derive(Debug)]
enum How {
    Silent,
    Bar(ProgressBar),
    Lines { name: String, began: Instant, last: Mutex<(String, Option<Instant>)> },
}

impl Task {
    pub(super) fn silent() -> Self {
        Self { how: How::Silent }
    }

    pub(super) fn bar(bars: &MultiProgress, name: &str) -> Self {
        let style =
            ProgressStyle::with_template("{spinner} {prefix:.bold} {wide_msg} {elapsed_precise}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
                .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
        let bar = bars.add(ProgressBar::new_spinner().with_style(style));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TURN);
        Self { how: How::Bar(bar) }
    }

    pub(super) fn lines(name: &str) -> Self {
        let last = Mutex::new((String::new(), None));
        Self { how: How::Lines { name: name.to_owned(), began: Instant::now(), last } }
    }

    /// Says which phase the task is in. `detail` may change often; in a pipe a phase gets a line
    /// when it begins, and then one every fifteen seconds.
    pub(crate) fn phase(&self, phase: &str, detail: &str) {
        let text = if detail.is_empty() { phase.to_owned() } else { format!("{phase}: {detail}") };
        match &self.how {
            How::Silent => {}
            How::Bar(bar) => bar.set_message(text),
            How::Lines { name, began, last } => {
                let Ok(mut last) = last.lock() else { return };
                let due = last.1.is_none_or(|at| at.elapsed() > LINE_EVERY);
                if last.0 == phase && !due {
                    return;
                }
                *last = (phase.to_owned(), Some(Instant::now()));
                let secs = began.elapsed().as_secs_f64();
                writeln!(io::stderr().lock(), "[{secs:6.1} s] {name}: {text}").ok();
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }
}
