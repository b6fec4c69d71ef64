// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The middle stage: leaves for a user namespace with the guest's ids alone, so that the program
//! cannot become the user who called Kiln; makes the other namespaces; waits for the inner one.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{Gid, Uid, UnshareFlags};

use super::wire::{Message, Wire};
use super::{ENTRY, SpaceError};

/// The program that runs.
pub(super) const SELF: &str = "/proc/self/exe";

/// Is the middle stage, to its end.
pub(super) fn run() -> Result<(), SpaceError> {
    die_with_starter()?;
    let mut wire = Wire::stdin().map_err(SpaceError::system("open the wire"))?;
    let network = fs::read("/proc/self/cmdline")
        .is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == b"network"));
    leave(UnshareFlags::NEWUSER)?;
    wire.send(&Message::Unshared).map_err(SpaceError::system("speak"))?;
    // Nothing is read beyond this message: the next one is for the inner stage.
    let Message::Mapped = wire.expect()? else { return Err(SpaceError::Lost) };
    become_root()?;
    die_with_starter()?;
    let mut flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if !network {
        flags |= UnshareFlags::NEWNET;
    }
    leave(flags)?;
    let mut inner = stage(SELF, &["inner"], wire)?;
    let status = inner.wait().map_err(SpaceError::system("wait"))?;
    // The inner stage has said what there is to say, unless it was killed.
    status.signal().map_or(Ok(()), |_| Err(SpaceError::Lost))
}

/// Starts the next stage, which `program` is with these words, with `wire` as its standard input.
pub(super) fn stage(
    program: &str,
    words: &[&str],
    wire: Wire,
) -> Result<std::process::Child, SpaceError> {
    let what = || format!("start `{program}` as the guest's root");
    let socket = wire.fd().try_clone_to_owned().map_err(SpaceError::system(what()))?;
    drop(wire);
    #[expect(clippy::disallowed_methods, reason = "a stage starts the next one, which is Kiln")]
    let mut command = Command::new(program);
    command.arg(ENTRY).args(words).stdin(Stdio::from(socket));
    command.spawn().map_err(SpaceError::system(what()))
}

/// Leaves the caller's namespaces of these kinds for new ones.
#[expect(unsafe_code, reason = "unshare is not safe for CLONE_FILES alone")]
pub(super) fn leave(flags: UnshareFlags) -> Result<(), SpaceError> {
    let names: Vec<_> = flags.iter_names().map(|(name, _)| name).collect();
    let what = format!("make namespaces ({})", names.join(", "));
    // SAFETY: the flags never have CLONE_FILES.
    unsafe { rustix::thread::unshare_unsafe(flags) }
        .map_err(|errno| SpaceError::System { what, source: errno.into() })
}

/// Becomes the new user namespace's root, without other groups.
pub(super) fn become_root() -> Result<(), SpaceError> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_groups(&[])
        .and_then(|()| rustix::thread::set_thread_res_gid(gid, gid, gid))
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(|errno| SpaceError::System {
            what: "become the guest's root user".into(),
            source: errno.into(),
        })
}

/// Has this process killed when the one that started it ends. Lost whenever the user changes.
pub(super) fn die_with_starter() -> Result<(), SpaceError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| SpaceError::System {
        what: "tie a process to its starter".into(),
        source: errno.into(),
    })
}
