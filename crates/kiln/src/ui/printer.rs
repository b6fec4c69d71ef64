// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lines, errors and JSON.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::json;

use super::progress::Task;
use crate::error::{Class, Report};

/// Returns JSON as it is shown: of what names hold nothing is left that a terminal would obey.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    // Those below U+0020 are escaped already, but for the line ends between values.
    let obeyed = |c: char| c.is_control() && c != '\n';
    if !text.contains(obeyed) {
        return text;
    }
    let escaped = |c: char| if obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    text.chars().map(escaped).collect()
}

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UiOptions {
    /// One JSON object on stdout instead of text.
    pub(crate) json: bool,
    /// No progress, no notes: errors only.
    pub(crate) quiet: bool,
    /// Say why, too.
    pub(crate) verbose: bool,
    /// Never use colour.
    pub(crate) plain: bool,
}

/// The printer.
#[derive(Debug)]
pub(crate) struct Ui {
    options: UiOptions,
    colour: bool,
    bars: Option<MultiProgress>,
    /// Why a part of the result was not written.
    lost: OnceLock<io::Error>,
}

impl Ui {
    /// Makes the printer: bars if stderr is a terminal and nothing forbids them.
    pub(crate) fn new(options: UiOptions) -> Self {
        let terminal = io::stderr().is_terminal();
        let bars = (terminal && !options.quiet)
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { options, colour: terminal && !options.plain, bars, lost: OnceLock::new() }
    }

    /// Returns whether the result is to be JSON.
    pub(crate) fn json(&self) -> bool {
        self.options.json
    }

    /// Writes a line of the result to stdout.
    pub(crate) fn out(&self, line: impl AsRef<str>) {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{}", line.as_ref()) {
            // A reader that has seen enough (`| head`) is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(self.lost.set(error)),
            _ => {}
        }
    }

    /// Writes lines of the result that must not be lost.
    ///
    /// # Errors
    ///
    /// What the system says; a reader that is gone is a failure here.
    pub(crate) fn deliver(&self, lines: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{lines}")?;
        stdout.flush()
    }

    /// Returns why a part of the result was not written, if that is so.
    pub(crate) fn lost(&mut self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Returns stdout, for a result that is bytes of its own.
    pub(crate) fn raw(&self) -> io::StdoutLock<'static> {
        io::stdout().lock()
    }

    /// Writes the result as JSON to stdout.
    pub(crate) fn result(&self, value: &serde_json::Value) {
        self.out(pretty(value));
    }

    /// Writes XML of libvirt's to stdout, in JSON if that was asked for.
    pub(crate) fn xml(&self, xml: &kiln_libvirt::xml::Element) {
        let text = xml.to_string();
        if self.json() {
            self.result(&serde_json::json!({ "xml": text }));
        } else {
            self.out(text.trim_end());
        }
    }

    /// Writes a note to stderr, unless `-q`.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if !self.options.quiet {
            self.line(line.as_ref());
        }
    }

    /// Writes a note to stderr with `-v` only.
    pub(crate) fn detail(&self, line: impl AsRef<str>) {
        if self.options.verbose {
            self.line(line.as_ref());
        }
    }

    /// Writes a warning to stderr, also with `-q`.
    pub(crate) fn warn(&self, line: impl AsRef<str>) {
        self.line(&format!("{} {}", self.paint("33", "warning:"), line.as_ref()));
    }

    /// Shows a failure: on stderr as `error / because / hint`, with `--json` as an object.
    pub(crate) fn failure(&self, report: &Report) {
        if self.options.json {
            self.result(&json!({ "error": report.json() }));
        }
        for (n, text) in report.chain.iter().enumerate() {
            let head = if n == 0 { self.paint("31", "error:") } else { "  because:".to_owned() };
            let mut lines = text.lines();
            self.line(&format!("{head} {}", lines.next().unwrap_or_default()));
            lines.for_each(|line| self.line(&format!("  {line}")));
        }
        for line in &report.excerpt {
            self.line(&format!("  | {line}"));
        }
        for hint in &report.hints {
            self.line(&format!("{} {hint}", self.paint("36", "hint:")));
        }
        if report.class == Class::Bug {
            self.line("hint: this is a bug in kiln; please report it with the lines above");
        }
    }

    /// Begins to show a task's progress under `name`.
    pub(crate) fn task(&self, name: &str) -> Task {
        match (&self.bars, self.options.quiet) {
            (_, true) => Task::silent(),
            (Some(bars), false) => Task::bar(bars, name),
            (None, false) => Task::lines(name),
        }
    }

    fn line(&self, line: &str) {
        let write = || {
            writeln!(io::stderr().lock(), "{line}").ok();
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[1;{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
