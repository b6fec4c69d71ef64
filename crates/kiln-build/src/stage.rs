// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stages of a build, what is told while it runs, and how long each took.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_spec::Bytes;

/// A stage of a build, in the order in which they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Another process builds the same recipe.
    Waiting,
    /// The lists of the mirror's packages are fetched.
    Lists,
    /// The essential packages are fetched.
    Download,
    /// The essential packages are unpacked.
    Extract,
    /// Packages are installed; those that are not essential are fetched, too.
    Install,
    /// The tree of packages is made an image.
    Finish,
    /// The initramfs is made.
    Initramfs,
    /// An archive is unpacked.
    Unpack,
    /// Packages are installed by the tree's own package manager.
    Packages,
    /// Files, users and units are put in place.
    Edit,
    /// Elements are applied.
    Elements,
    /// The recipe's commands run.
    Commands,
    /// The tree is written to a partitioned disk, with its boot loaders.
    Disk,
    /// An appliance fills the file systems that Kiln does not write itself.
    Appliance,
    /// The file's digest is computed.
    Digest,
    /// The file is moved into the store.
    Store,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "wait for another build",
            Self::Lists => "package lists",
            Self::Download => "download",
            Self::Extract => "unpack",
            Self::Install => "install",
            Self::Finish => "finish",
            Self::Initramfs => "initramfs",
            Self::Unpack => "archive",
            Self::Packages => "packages",
            Self::Edit => "files",
            Self::Elements => "elements",
            Self::Commands => "commands",
            Self::Disk => "disk",
            Self::Appliance => "appliance",
            Self::Digest => "digest",
            Self::Store => "store",
        })
    }
}

/// What is told while a build runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A stage begins, and the one before ends. A stage may begin again.
    Stage(Stage),
    /// A step of the recipe begins, which has no layer yet.
    Step(String),
    /// A package is done with.
    Packages {
        /// What was done with it: [`Stage::Download`] or [`Stage::Install`].
        stage: Stage,
        /// How many are done.
        done: u32,
        /// Of how many, as far as is known: apt counts in two steps.
        of: u32,
        /// How much was fetched.
        bytes: Option<Bytes>,
        /// Its name.
        name: String,
    },
    /// Bytes are written or read.
    Bytes {
        /// In which stage.
        stage: Stage,
        /// How many so far.
        done: Bytes,
        /// Of how many, if that is known.
        of: Option<Bytes>,
    },
    /// A line for whoever wants details.
    Note(String),
}

impl Event {
    /// Returns the stage and how far it is, in words, if the event tells that.
    #[must_use]
    pub fn progress(&self) -> Option<(Stage, String)> {
        match self {
            Self::Packages { stage, done, of, bytes: Some(bytes), name } => {
                Some((*stage, format!("{done}/{of} ({bytes}) {name}")))
            }
            Self::Packages { stage, done, of, bytes: None, name } => {
                Some((*stage, format!("{done}/{of} {name}")))
            }
            Self::Bytes { stage, done, of: Some(of) } => Some((*stage, format!("{done} of {of}"))),
            Self::Bytes { stage, done, of: None } => Some((*stage, done.to_string())),
            Self::Stage(_) | Self::Step(_) | Self::Note(_) => None,
        }
    }
}

/// Hands events on, and measures the stages.
pub(crate) struct Reporter<'a> {
    progress: &'a (dyn Fn(Event) + Sync),
    times: Mutex<Times>,
}

struct Times {
    current: Option<(Stage, Instant)>,
    done: Vec<(Stage, Duration)>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(progress: &'a (dyn Fn(Event) + Sync)) -> Self {
        let times = Times { current: None, done: Vec::new() };
        Self { progress, times: Mutex::new(times) }
    }

    pub(crate) fn tell(&self, event: Event) {
        if let Event::Stage(stage) = event {
            self.times.lock().unwrap_or_else(PoisonError::into_inner).turn(Some(stage));
        }
        (self.progress)(event);
    }

    /// Returns the stage that runs, or would run first.
    pub(crate) fn current(&self) -> Stage {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.current.map_or(Stage::Lists, |(stage, _)| stage)
    }

    /// Ends the last stage and returns how long each took, in the order in which they began.
    pub(crate) fn end(&self) -> Vec<(Stage, Duration)> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.turn(None);
        times.done.clone()
    }
}

impl Times {
    fn turn(&mut self, next: Option<Stage>) {
        let now = Instant::now();
        if let Some((stage, since)) = self.current.take() {
            let took = now - since;
            match self.done.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, before)) => *before += took,
                None => self.done.push((stage, took)),
            }
        }
        self.current = next.map(|stage| (stage, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_begins_again_is_counted_once() {
        let seen = Mutex::new(Vec::new());
        let progress = |event| seen.lock().unwrap().push(event);
        let reporter = Reporter::new(&progress);
        for stage in [Stage::Download, Stage::Install, Stage::Download] {
            reporter.tell(Event::Stage(stage));
        }
        let stages: Vec<_> = reporter.end().into_iter().map(|(stage, _)| stage).collect();
        assert_eq!(stages, [Stage::Download, Stage::Install]);
        assert_eq!(seen.lock().unwrap().len(), 3);
    }
}
