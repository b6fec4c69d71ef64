// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong with operations: their arguments, and what they do.

use std::io;
use std::path::PathBuf;

use kiln_disk::tar::TarError;
use kiln_spec::Bytes;

use crate::run::RunError;
use crate::system::crypt::HashError;
use crate::system::units::UnitError;
use crate::tree::{GuestPath, TreeError};

/// Why an argument cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

impl Wrong {
    /// Returns the reason `why`: lower case, no full stop.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Why a command line, or a file of operations, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// There is no such operation.
    #[error("there is no operation `{name}`{}", near(*.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// The name that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The operation needs an argument.
    #[error("`{name}` needs an argument: {syntax}")]
    Missing {
        /// The operation.
        name: &'static str,
        /// The argument's syntax.
        syntax: &'static str,
    },
    /// The operation takes no argument.
    #[error("`{name}` takes no argument")]
    Unwanted {
        /// The operation.
        name: &'static str,
    },
    /// The argument is wrong.
    #[error("`{argument}` cannot be the argument of `{name}` ({syntax})")]
    Wrong {
        /// The operation.
        name: &'static str,
        /// The argument, as far as it may be shown.
        argument: String,
        /// Its syntax.
        syntax: &'static str,
        /// Why.
        source: Wrong,
    },
    /// A file of operations cannot be read.
    #[error("cannot read the operations in `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of a file of operations is wrong.
    #[error("line {line} of `{}` is wrong", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1, on which the operation begins.
        line: usize,
        /// Why.
        source: Box<ArgumentError>,
    },
    /// A file of operations names another.
    #[error("`commands-from-file` cannot stand in a file of operations")]
    Nested,
}

fn near(name: Option<&str>) -> String {
    name.map(|name| format!("; is it `{name}`?")).unwrap_or_default()
}

/// Why a guest could not be customized. Nothing of it should be kept then.
#[derive(Debug, thiserror::Error)]
#[error("could not do `{operation}{}`", with_argument(argument))]
pub struct EditError {
    /// The operation.
    pub operation: &'static str,
    /// Its argument, as far as it may be shown; empty if it has none.
    pub argument: String,
    /// What went wrong.
    pub source: Problem,
}

fn with_argument(argument: &str) -> String {
    if argument.is_empty() { String::new() } else { format!(" {argument}") }
}

/// What goes wrong in an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The guest's tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What is copied into the guest does not fit.
    #[error("no space left in the guest for `{path}`: {wanted} are to be copied in all")]
    Full {
        /// The first that does not fit.
        path: GuestPath,
        /// Bytes of all files that are to be copied.
        wanted: Bytes,
    },
    /// Units of systemd.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// A password.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A program cannot be run in the guest.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A tar archive.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A program that ran in the guest failed.
    #[error("`{name}` failed in the guest with status {code}{}", last_lines(tail))]
    Failed {
        /// What ran.
        name: String,
        /// Its exit status.
        code: i32,
        /// The last that it wrote.
        tail: Vec<u8>,
    },
    /// Nothing was said that can run the guest's programs.
    #[error("this needs programs of the guest, and nothing here can run them")]
    NoRunner,
    /// A file of the host cannot be read.
    #[error("cannot read `{}`", path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No random numbers.
    #[error("there are no random numbers to be had")]
    Random {
        /// Why.
        source: io::Error,
    },
    /// The guest has no such account.
    #[error("the guest has no user `{user}`")]
    NoUser {
        /// Its name.
        user: String,
    },
    /// The operation cannot be done on this guest, or on this file.
    #[error("{why}")]
    Refused {
        /// Why: lower case, no full stop.
        why: String,
    },
}

impl Problem {
    /// Returns a refusal.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// Says how much was to be copied, of what did not fit.
    pub(super) fn wanting(self, wanted: u64) -> Self {
        match self {
            Self::Tree(TreeError::NoSpace { path }) => Self::Full { path, wanted: Bytes(wanted) },
            other => other,
        }
    }
}

/// The last lines that a program wrote, made fit for a terminal.
fn last_lines(tail: &[u8]) -> String {
    const LINES: usize = 12;
    const MOST: usize = 2000;
    let text = String::from_utf8_lossy(&tail[tail.len().saturating_sub(MOST)..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let clean = |line: &&str| -> String {
        let shown = line.chars().filter(|c| !c.is_control() || *c == '\t');
        format!("\n  | {}", shown.collect::<String>())
    };
    lines[lines.len().saturating_sub(LINES)..].iter().map(clean).collect()
}
