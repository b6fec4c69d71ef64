// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hostile input: valid seeds, changed at random or on purpose, and given to a parser in a child
//! process that may use little memory and little time.
//!
//! | module | what |
//! |---|---|
//! | `rng` | random numbers that a seed decides |
//! | `case` | one input: a seed and its changes, as one line of text |
//! | `worker` | the child process that runs cases, and what became of each |
//!
//! A test binary with a corpus has a test that calls [`serve`] (the child's side), and others that
//! start it again with [`Worker::start`] and hand it cases. What a case showed once is kept by its
//! line of text.

mod case;
mod rng;
mod worker;

use std::error::Error;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

pub use case::{Case, Edit};
pub use rng::Rng;
pub use worker::{Verdict, Worker, serve};

/// A valid input.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name, without spaces.
    pub name: &'static str,
    /// The input.
    pub bytes: Vec<u8>,
    /// Where its tables and headers are: most changes are made there.
    pub hot: Vec<Range<usize>>,
    /// Whether its numbers have their big end first.
    pub big_endian: bool,
}

/// What a parser made of an input: what it found, or an error that says clearly what is wrong.
pub type Outcome = Result<String, Box<dyn Error>>;

/// A parser of foreign bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, without spaces.
    pub name: &'static str,
    /// Makes the seeds, the same each time. The folder is empty and may be used.
    pub seeds: fn(&Path) -> Vec<Seed>,
    /// Makes checksums of a changed input right again, so that a change is not found out by them.
    pub mend: fn(&mut [u8]),
    /// Parses an input. The folder may be used; it holds what the last input left there.
    pub run: fn(&[u8], &Path) -> Outcome,
}

/// What a long run found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many inputs were tried.
    pub runs: u64,
    /// How many of them were refused with an error.
    pub refused: u64,
    /// Those that the parser did not stand, with what happened.
    pub failures: Vec<(Case, String)>,
}

/// Tries random changes of a target's seeds for some time. Ends early after ten failures.
///
/// # Panics
///
/// If the child cannot be started.
#[must_use]
pub fn explore(worker: &mut Worker, target: &Target, time: Duration) -> Found {
    let seeds = worker.seeds(target);
    let (start, mut found) = (Instant::now(), Found::default());
    let first = start_number(target.name);
    while start.elapsed() < time && found.failures.len() < 10 {
        let case = Case::random(target.name, &seeds, &mut Rng::new(first + found.runs));
        found.runs += 1;
        match worker.run(&case) {
            Verdict::Right(_) => (),
            Verdict::Refused(_) => found.refused += 1,
            Verdict::Failed(how) => found.failures.push((case, how)),
        }
    }
    found
}

/// Returns all cases of a corpus: those on purpose, what was found before (a case a line, `#` begins
/// a comment), each seed as it is, and `random` changes of each target's seeds.
///
/// # Panics
///
/// If a line of `findings` is no case.
#[must_use]
pub fn corpus(
    worker: &Worker,
    targets: &[Target],
    purpose: Vec<Case>,
    findings: &str,
    random: u64,
) -> Vec<Case> {
    let mut all = purpose;
    let kept = findings.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    all.extend(kept.map(|line| line.parse::<Case>().expect("findings are cases")));
    for target in targets {
        let seeds = worker.seeds(target);
        all.extend(seeds.iter().map(|seed| Case::new(target.name, seed.name, &[])));
        all.extend((0..random).map(|n| Case::random(target.name, &seeds, &mut Rng::new(n))));
    }
    all
}

/// Returns what a report says of a case that failed: its line, which may be long, and how.
#[must_use]
pub fn failure(case: &Case, how: &str) -> String {
    let case: String = case.to_string().chars().take(300).collect();
    format!("{case}: {how}")
}

/// Runs all cases of a [`corpus`] in a child that the test `child` is.
///
/// # Panics
///
/// If one of them fails, with the cases.
pub fn every_case_ends_well(targets: &[Target], purpose: Vec<Case>, findings: &str, random: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = Worker::start("child", folder.path());
    let all = corpus(&worker, targets, purpose, findings, random);
    let mut failures = Vec::new();
    for case in &all {
        if let Verdict::Failed(how) = worker.run(case) {
            failures.push(failure(case, &how));
        }
    }
    assert!(failures.is_empty(), "{} of {}: {}", failures.len(), all.len(), failures.join("\n"));
}

/// Tries random changes of every target's seeds, or of `KILN_FUZZ_TARGET`'s only, for
/// `KILN_FUZZ_SECONDS` each; nothing without that variable. The children are started by the test
/// `child`. `keep` says where what is found is to be kept.
///
/// # Panics
///
/// If something is found, with its cases; if the variable is no number.
pub fn fuzz_all(targets: &[Target], keep: &str) {
    let Some(seconds) = crate::variable("KILN_FUZZ_SECONDS") else { return };
    let seconds = seconds.parse().expect("KILN_FUZZ_SECONDS is a number");
    let only = crate::variable("KILN_FUZZ_TARGET");
    let mut failures = Vec::new();
    for target in targets.iter().filter(|t| only.as_deref().is_none_or(|o| o == t.name)) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut worker = Worker::start("child", folder.path());
        let found = explore(&mut worker, target, Duration::from_secs(seconds));
        let (name, runs, refused) = (target.name, found.runs, found.refused);
        let count = found.failures.len();
        say(&format!("{name}: {runs} runs in {seconds} s, {refused} refused, {count} failed"));
        for (case, how) in found.failures {
            say(&format!("  {case}\n    {how}"));
            failures.push(case.to_string());
        }
    }
    assert!(failures.is_empty(), "keep these in {keep}:\n{}", failures.join("\n"));
}

/// Says something in the middle of a test. Nobody may be listening.
pub fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

/// Returns the number that a target's random cases begin at: another one each time that
/// `KILN_FUZZ_FIRST` is.
fn start_number(target: &str) -> u64 {
    let given = crate::variable("KILN_FUZZ_FIRST").and_then(|text| text.parse::<u64>().ok());
    let name = target.bytes().fold(0, |n: u64, b| n.wrapping_mul(31) + u64::from(b));
    given.unwrap_or(0) + (name << 40)
}
