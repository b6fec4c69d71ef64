// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Running a guest's own programs on its tree: package managers, scripts.
//!
//! What needs them says what to run as a [`Job`]; a [`Runner`] knows how, and where.

mod apply;
mod files;
mod namespace;
mod processor;
mod resolvers;

use std::error::Error;
use std::fmt;

pub use namespace::{Log, NamespaceRunner};
pub use resolvers::resolvers;

use kiln_spec::Bytes;

use crate::tree::{GuestPath, Tree};

/// What to run in a guest, as its root user, from its root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is called in messages and in the log: a command line, a script's name.
    pub name: String,
    /// The program.
    pub program: Program,
    /// Whether it may reach the network.
    pub network: bool,
    /// Directories that are empty for the program, and afterwards have what they had: where a
    /// package manager keeps what it downloads. One that the guest lacks is left out.
    pub aside: Vec<GuestPath>,
}

/// A program to run in a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Lines for the guest's `/bin/sh`.
    Shell(Vec<u8>),
    /// A file that the guest can execute: a script with its `#!` line, a binary. It is put into
    /// the guest for the time of the run.
    File(Vec<u8>),
}

/// How a [`Job`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// Its exit status; 128 + n if signal n ended it.
    pub code: i32,
    /// The last that it wrote, both streams as they came: 64 KiB at most.
    pub tail: Vec<u8>,
}

/// Why a [`Job`] could not be run. A job that ran and failed is no error here: see
/// [`RunOutput::code`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The guest's programs cannot run here.
    #[error("cannot run `{job}` in the guest: {why}")]
    Impossible {
        /// The job's name.
        job: String,
        /// What stands against it.
        why: String,
    },
    /// It writes more than the guest can hold.
    #[error("`{job}` writes more than the {room} of the guest's file systems")]
    Full {
        /// The job's name.
        job: String,
        /// How much they hold.
        room: Bytes,
    },
    /// What runs them failed.
    #[error("could not run `{job}` in the guest")]
    Backend {
        /// The job's name.
        job: String,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Runs the programs of one guest.
pub trait Runner: fmt::Debug {
    /// Runs one job to its end.
    ///
    /// # Effects
    ///
    /// `tree` is the guest's tree with all that was changed in it so far, and has afterwards what
    /// the program changed. What the run itself needs there (a resolver, device nodes, the
    /// program's file) is put back as it was. What the program writes goes to the log. A program
    /// that ends with another status than 0 has changed nothing.
    ///
    /// # Errors
    ///
    /// [`RunError`]; the tree may then hold a part of the program's work.
    fn run(&mut self, tree: &mut dyn Tree, job: &Job) -> Result<RunOutput, RunError>;
}
