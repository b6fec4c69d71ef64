// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host that `kiln` itself runs on: processes, locks, copies, the journal, signals.
//!
//! | module | what |
//! |---|---|
//! | [`cmd`] | a command as a value, and the closed list of tools |
//! | [`run`] | running one: deadline, process group, pipes |
//! | [`tools`] | one file a tool: how it is called, how its answer is read |
//! | [`journal`] | what to undo after a kill, on disk |
//! | [`namespace`] | a guest's program on the guest's files, apart from the host |
//! | [`kernel_mount`] | a file system mounted where only this process sees it |
//! | [`lock`] | locks between `kiln` processes |
//! | [`image_lock`] | the locks of disk images that QEMU takes, too |
//! | [`mod@beside`] | files on their way to a name, and what killed processes left of theirs |
//! | [`copy`] | copies that share or skip blocks |
//! | [`mod@scratch`] | folders for work under way, and what killed processes left of theirs |
//! | [`read`] | files that the user names, bounded; streams by whole buffers |
//! | [`routes`] | which networks the host reaches |
//! | [`listeners`] | who listens on the host's ports |
//! | [`causes`] | an error with its causes |
//! | [`signal`] | Ctrl-C as a value that waits can see |
//!
//! **Invariant:** this is the only crate that starts a process.

pub mod beside;
pub mod causes;
pub mod cmd;
pub mod copy;
pub mod image_lock;
pub mod journal;
pub mod kernel_mount;
pub mod listeners;
pub mod lock;
pub mod namespace;
pub mod read;
pub mod routes;
pub mod run;
pub mod scratch;
pub mod signal;
pub mod tools;

pub use cmd::{Cmd, Tool};
pub use run::{CmdError, Host, Output, Pipe, RealHost};
