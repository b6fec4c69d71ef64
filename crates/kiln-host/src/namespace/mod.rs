// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program of a guest, run in namespaces of its own on the guest's files.
//!
//! Kiln starts itself again with [`ENTRY`] as its first argument (user namespaces cannot be made
//! by a process with threads), in three stages that only set things up and wait:
//!
//! | stage | user namespace | what it does |
//! |---|---|---|
//! | outer | the guest's ids, and the caller's own | waits; hands the changes on, removes what is left |
//! | middle | the guest's ids alone | makes the other namespaces |
//! | inner | the same; process 1 of the new pid namespace | mounts, starts the program, reaps |
//!
//! The guest's files come through FUSE, answered by whoever called [`Space::serve`], or from
//! [`Layers`] on the host's disk; an overlay keeps the program's changes apart.
//! `docs/design/0010-run.md` and `0013-builds.md` say why.
//!
//! **Invariant:** the program has no capability outside its user namespace, sees no path of the
//! host, and nothing of it lives on when the run ends, however it ends.

mod change;
mod collect;
mod ids;
mod inner;
mod job;
mod layers;
mod loopback;
mod middle;
mod outer;
mod remove;
mod space;
mod wire;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use change::{Change, ChangeKind};
pub use job::{Job, JobFn};
pub use layers::{Bind, Layers, Shown, View, keep};
pub use space::{Ended, Limits, Serve, Space, remove_left};

/// The first argument that makes the program one of the stages.
pub const ENTRY: &str = "__guest-run";

/// The folder in the scratch folder that belongs to the guest's root user.
pub const WORK: &str = "run";
/// The folder in the scratch folder that [`keep`] makes a layer in: its folder `fs` belongs to the
/// guest's root user.
pub const DONE: &str = "done";
/// What only the guest's ids can remove of a scratch folder.
const LEFT: [&str; 2] = [WORK, DONE];
/// The file in the scratch folder that the outer stage holds a lock on while it lives.
const BUSY: &str = "busy";
/// The file in the scratch folder that is the program, if it comes as a file.
pub const PROGRAM_FILE: &str = "program";
/// Where [`PROGRAM_FILE`] is for the program itself.
pub const PROGRAM_PATH: &str = "/run/kiln-program";

/// How to start the program that calls [`enter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program; `/proc/self/exe` for the one that runs.
    pub program: PathBuf,
}

/// What to run, and in what.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// An empty folder of the host that is ours alone: the overlay's changes are kept there.
    pub scratch: PathBuf,
    /// The program and its arguments, as the guest's root sees them.
    pub argv: Vec<Vec<u8>>,
    /// Its whole environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it has the host's network; a loopback of its own otherwise.
    pub network: bool,
    /// Its host name.
    pub hostname: Vec<u8>,
    /// Directories of the guest that are empty for the program, and forgotten.
    pub aside: Vec<Vec<u8>>,
    /// Whether [`PROGRAM_FILE`] is there, to be put at [`PROGRAM_PATH`].
    pub file: bool,
    /// Where it starts: an absolute path.
    pub cwd: Vec<u8>,
    /// What its files are.
    pub root: Root,
    /// Whether a descriptor is handed over: the program's standard input, or a job's data.
    pub data: bool,
    /// How many bytes of the host's disk its changes may take, if [`Root::Fuse`] holds its files.
    pub room: Option<u64>,
}

/// What a program's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// A FUSE file system, answered by whoever serves the space; the program's changes are
    /// handed on, and forgotten.
    Fuse,
    /// Layers on the host's disk; the program's changes are kept in the scratch folder.
    Layers(Layers),
}

/// Without what may be secret.
impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

/// Why a guest's program could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The system refused something.
    #[error("could not {what}")]
    System {
        /// What was to be done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The user has no ids to give to the guest.
    #[error("`{user}` has no subordinate ids in `{file}`")]
    NoIds {
        /// The user's name, or number.
        user: String,
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
    },
    /// `newuidmap` failed.
    #[error("could not give the guest's users ids of their own")]
    Map {
        /// What it said.
        source: Box<crate::CmdError>,
    },
    /// It took longer than it may.
    #[error("it did not end within {allowed:?}")]
    Deadline {
        /// How long that is.
        allowed: std::time::Duration,
    },
    /// Kiln was told to stop.
    #[error("kiln was told to stop")]
    Interrupted,
    /// The scratch folder's file system is nearly full.
    #[error("no space left in `{}`", folder.display())]
    NoSpace {
        /// The folder.
        folder: PathBuf,
    },
    /// Its changes take more space than they may.
    #[error("its changes take more than {room}")]
    Full {
        /// How much that is.
        room: kiln_spec::Bytes,
    },
    /// Something that Kiln itself did on the files failed.
    #[error("{why}")]
    Job {
        /// What it said: the errors, outermost first.
        why: String,
    },
    /// A stage ended without a word, or spoke nonsense.
    #[error("the process that runs the guest's program ended early")]
    Lost,
}

impl SpaceError {
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// Returns the bytes that are free on a folder's file system, for whoever asks.
fn free(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Returns whether a program that was started with these arguments, without its own name, is one
/// of the stages. If so it is to call [`enter`] before it starts a thread, and then to end.
#[must_use]
pub fn is_entry(args: &[OsString]) -> bool {
    args.first().is_some_and(|first| first == ENTRY)
}

/// Is the stage that the arguments name, to its end. Returns the exit status. `jobs` are what
/// [`View::Bare`] can name.
#[must_use]
pub fn enter(args: &[OsString], jobs: &[Job]) -> u8 {
    let ended = match args.get(1).map(OsString::as_os_str).and_then(OsStr::to_str) {
        Some("outer") => outer::run(),
        Some("remove") => outer::remove_left(),
        Some("keep") => outer::keep(),
        Some("middle") => middle::run(),
        Some("inner") => inner::run(jobs),
        _ => return 2,
    };
    match ended {
        Ok(()) => 0,
        Err(trouble) => {
            wire::complain(&trouble);
            1
        }
    }
}
