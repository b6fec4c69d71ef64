// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The starter's side: starts the stages, serves the guest's files while the program runs, hears
//! of the changes.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_spec::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::change::{Change, ChangeKind};
use super::collect::Contents;
use super::wire::{Message, Wire};
use super::{BUSY, ENTRY, Exec, LEFT, Root, Setup, SpaceError, free, ids};
use crate::lock::Lock;
use crate::read::{Holes, Plain};
use crate::signal;

/// How often a wait looks for a signal, the deadline and the space left.
const TICK: Duration = Duration::from_millis(100);
/// Bytes that must stay free in the scratch folder: with less, other programs of the host suffer.
const RESERVE: u64 = 256 << 20;
/// The most bytes of a FUSE request, without writes: `FUSE_MIN_READ_BUFFER` of Linux is 8 KiB.
const REQUEST: usize = 64 << 10;
/// How long the outer stage may take to remove what the program left, when the run is given up.
const GRACE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// What answers for the guest's files, and hears what the program writes.
pub trait Serve {
    /// Answers one request of the FUSE protocol; `None` if it wants no answer.
    fn request(&mut self, request: &[u8]) -> Option<Vec<u8>>;

    /// Gets what the program wrote to its standard output or error.
    fn output(&mut self, bytes: &[u8]);
}

/// How far a run may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the program may take; `None` for as long as it likes.
    pub deadline: Option<Duration>,
}

/// A program's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; 128 + n if signal n ended it.
    pub code: i32,
    /// What a job answered; nothing of a program.
    pub answer: Vec<u8>,
}

/// A program of a guest in its namespaces. Dropped, it is ended, and what it left is removed.
#[derive(Debug)]
pub struct Space {
    exec: Exec,
    outer: Child,
    wire: Option<Wire>,
    output: OwnedFd,
    scratch: PathBuf,
    fuse: Option<OwnedFd>,
    /// Whether what was changed stays when this is dropped.
    keeps: bool,
}

impl Space {
    /// Starts the stages. The program itself begins when [`Space::serve`] serves its files.
    ///
    /// # Errors
    ///
    /// [`SpaceError::System`], [`SpaceError::NoIds`], [`SpaceError::Map`] if the host does not
    /// allow what is needed; [`SpaceError::NoSpace`] if the scratch folder is too full from the
    /// start.
    pub fn start(exec: &Exec, setup: &Setup) -> Result<Self, SpaceError> {
        Self::start_with(exec, setup, None)
    }

    /// As [`Space::start`], and hands a descriptor over, as [`Setup::data`] says.
    ///
    /// # Errors
    ///
    /// As [`Space::start`].
    pub fn start_with(
        exec: &Exec,
        setup: &Setup,
        data: Option<OwnedFd>,
    ) -> Result<Self, SpaceError> {
        room(&setup.scratch)?;
        let (ours, theirs) = UnixStream::pair().map_err(SpaceError::system("make a socket"))?;
        let pipe = || -> io::Result<_> {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
            Ok((read, write.try_clone()?, write))
        };
        let (output, out, err) = pipe().map_err(SpaceError::system("make a pipe"))?;
        let busy = setup.scratch.join(BUSY);
        fs::write(&busy, b"").map_err(SpaceError::system(format!("make `{}`", busy.display())))?;
        let outer = stage(exec, "outer", theirs, [Stdio::from(out), Stdio::from(err)])?;
        let wire = Wire::new(ours);
        let scratch = setup.scratch.clone();
        let exec = exec.clone();
        let keeps = matches!(setup.root, Root::Layers(_));
        let mut space = Self { exec, outer, wire: Some(wire), output, scratch, fuse: None, keeps };
        space.begin(setup, data)?;
        Ok(space)
    }

    fn begin(&mut self, setup: &Setup, data: Option<OwnedFd>) -> Result<(), SpaceError> {
        let pid = self.outer.id();
        let wire = self.wire.as_mut().ok_or(SpaceError::Lost)?;
        let speak = |e| SpaceError::System { what: "speak".into(), source: e };
        wire.send(&Message::Setup(Box::new(setup.clone()))).map_err(speak)?;
        let Message::Unshared = wire.expect()? else { return Err(SpaceError::Lost) };
        ids::map_outer(pid)?;
        wire.send(&Message::Mapped).map_err(speak)?;
        if let Some(data) = data {
            wire.send_fd(&Message::Data, data.as_fd()).map_err(speak)?;
        }
        if setup.root == Root::Fuse {
            let Message::Fuse = wire.expect()? else { return Err(SpaceError::Lost) };
            self.fuse = Some(wire.take_fd().ok_or(SpaceError::Lost)?);
        }
        Ok(())
    }

    /// Serves the program's files until it ends.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Deadline`], [`SpaceError::Interrupted`], [`SpaceError::NoSpace`],
    /// [`SpaceError::Full`]: the program was not at its end; drop the space. [`SpaceError::System`] if a stage could not do its part.
    pub fn serve(&mut self, serve: &mut dyn Serve, limits: Limits) -> Result<Ended, SpaceError> {
        let began = Instant::now();
        let mut looked = began;
        let mut buffer = vec![0; REQUEST];
        let fuse = self.fuse.take();
        loop {
            let (asked, wrote, told) = self.wait(fuse.as_ref())?;
            if let Some(fuse) = fuse.as_ref().filter(|_| asked) {
                answer(fuse, &mut buffer, serve)?;
            }
            if wrote {
                self.hear(&mut buffer, serve)?;
            }
            if told {
                let wire = self.wire.as_mut().ok_or(SpaceError::Lost)?;
                let ended = match wire.expect()? {
                    Message::Ended(code) => Ended { code, answer: Vec::new() },
                    Message::Answered(Ok(answer)) => Ended { code: 0, answer },
                    Message::Answered(Err(why)) => return Err(SpaceError::Job { why }),
                    Message::Full(room) => return Err(SpaceError::Full { room: Bytes(room) }),
                    _ => return Err(SpaceError::Lost),
                };
                while self.hear(&mut buffer, serve)? {}
                return Ok(ended);
            }
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                room(&self.scratch)?;
                if signal::interrupted() {
                    return Err(SpaceError::Interrupted);
                }
                match limits.deadline {
                    Some(allowed) if began.elapsed() > allowed => {
                        return Err(SpaceError::Deadline { allowed });
                    }
                    _ => {}
                }
            }
        }
    }

    /// Waits for a request, output, a message of the stages, or a tick.
    fn wait(&self, fuse: Option<&OwnedFd>) -> Result<(bool, bool, bool), SpaceError> {
        let wire = self.wire.as_ref().ok_or(SpaceError::Lost)?;
        let mut fds = vec![
            PollFd::new(&self.output, PollFlags::IN),
            PollFd::from_borrowed_fd(wire.fd(), PollFlags::IN),
        ];
        fds.extend(fuse.map(|fuse| PollFd::new(fuse, PollFlags::IN)));
        let nanos = i64::from(TICK.subsec_nanos());
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: nanos })) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(SpaceError::system("wait")(errno.into())),
        }
        let is = |fd: &PollFd<'_>| fd.revents().contains(PollFlags::IN);
        let told = is(&fds[1]) || fds[1].revents().contains(PollFlags::HUP);
        Ok((fds.get(2).is_some_and(is), is(&fds[0]), told))
    }

    /// Hands on what the program wrote; returns whether there was something to read at once.
    fn hear(&mut self, buffer: &mut [u8], serve: &mut dyn Serve) -> Result<bool, SpaceError> {
        let mut fds = [PollFd::new(&self.output, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0) {
            return Ok(false);
        }
        match rustix::io::read(&self.output, &mut *buffer) {
            Ok(0) => Ok(false),
            Ok(n) => {
                serve.output(&buffer[..n]);
                Ok(true)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(true),
            Err(errno) => Err(SpaceError::system("read what the program wrote")(errno.into())),
        }
    }

    /// Calls `on` with each change that the program made, directories before what is in them; a
    /// file's contents can be read to their end, or left.
    ///
    /// # Errors
    ///
    /// The error of `on`, which ends it; [`SpaceError`] if the changes cannot be read.
    pub fn changes<E: From<SpaceError>>(
        &mut self,
        mut on: impl FnMut(&Change, &mut dyn Holes) -> Result<(), E>,
    ) -> Result<(), E> {
        let wire = self.wire.as_mut().ok_or(SpaceError::Lost)?;
        let speak = |e| SpaceError::System { what: "hear of the changes".into(), source: e };
        wire.send(&Message::Collect).map_err(speak)?;
        loop {
            match wire.expect()? {
                Message::Done => return Ok(()),
                Message::Change(change) if matches!(change.kind, ChangeKind::File { .. }) => {
                    let mut contents = Contents::new(wire);
                    on(&change, &mut contents)?;
                    contents.finish().map_err(speak)?;
                }
                Message::Change(change) => on(&change, &mut Plain(&mut io::empty()))?,
                _ => return Err(SpaceError::Lost.into()),
            }
            if signal::interrupted() {
                return Err(SpaceError::Interrupted.into());
            }
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Without its starter the outer stage ends the program and cleans up.
        self.fuse = None;
        self.wire = None;
        let pid = i32::try_from(self.outer.id()).ok().and_then(Pid::from_raw);
        let ended = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let gone = ended.is_some_and(|fd| {
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            matches!(poll(&mut fds, Some(&GRACE)), Ok(n) if n > 0)
        });
        if !gone {
            self.outer.kill().ok();
        }
        self.outer.wait().ok();
        if self.keeps {
            return;
        }
        // If it was killed it left something, which the next `kiln` removes if this fails.
        remove_left(&self.exec, &self.scratch).ok();
    }
}

/// Starts a stage whose standard input is `wire`. Our copies of what it gets are closed.
fn stage(
    exec: &Exec,
    name: &str,
    wire: UnixStream,
    [out, err]: [Stdio; 2],
) -> Result<Child, SpaceError> {
    #[expect(clippy::disallowed_methods, reason = "Kiln starts itself, as a stage")]
    let mut command = Command::new(&exec.program);
    command
        .args([ENTRY, name])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(wire)))
        .stdout(out)
        .stderr(err);
    command.spawn().map_err(SpaceError::system(format!("start `{}`", exec.program.display())))
}

/// Removes from a scratch folder what a program's stages left there when they were killed: a
/// program's files, and a layer that got no place. Waits for an outer stage that is about to do so itself.
///
/// # Errors
///
/// [`SpaceError`] as for [`Space::start`]; something resists.
pub fn remove_left(exec: &Exec, scratch: &Path) -> Result<(), SpaceError> {
    let busy = scratch.join(BUSY);
    let nothing = || LEFT.iter().all(|name| scratch.join(name).symlink_metadata().is_err());
    if !busy.exists() && nothing() {
        return Ok(());
    }
    // Also where there is nothing yet: an outer stage that was just started may be about to make it.
    let _busy = Lock::wait(&busy)
        .map_err(|error| SpaceError::system("lock the scratch folder")(io::Error::other(error)))?;
    if nothing() {
        return Ok(());
    }
    match with_ids(exec, "remove", &Message::Remove(scratch.to_owned()))? {
        Message::Done => Ok(()),
        _ => Err(SpaceError::Lost),
    }
}

/// Has a stage with the guest's ids do one thing, and returns what it says.
pub(super) fn with_ids(exec: &Exec, name: &str, order: &Message) -> Result<Message, SpaceError> {
    let (ours, theirs) = UnixStream::pair().map_err(SpaceError::system("make a socket"))?;
    let mut wire = Wire::new(ours);
    let mut child = stage(exec, name, theirs, [Stdio::null(), Stdio::null()])?;
    let mut told = || {
        let speak = |e| SpaceError::System { what: "speak".into(), source: e };
        wire.send(order).map_err(speak)?;
        let Message::Unshared = wire.expect()? else { return Err(SpaceError::Lost) };
        ids::map_outer(child.id())?;
        wire.send(&Message::Mapped).map_err(speak)?;
        wire.expect()
    };
    let told = told();
    drop(wire);
    child.wait().map_err(SpaceError::system("wait"))?;
    told
}

/// Reads one request and writes its answer.
fn answer(fuse: &OwnedFd, buffer: &mut [u8], serve: &mut dyn Serve) -> Result<(), SpaceError> {
    let length = match rustix::io::read(fuse, &mut *buffer) {
        Ok(length) => length,
        // Gone before we saw it: fuse(4). Or unmounted, which the wire will tell of.
        Err(Errno::NOENT | Errno::INTR | Errno::AGAIN | Errno::NODEV) => return Ok(()),
        Err(errno) => return Err(SpaceError::system("read a FUSE request")(errno.into())),
    };
    let Some(reply) = serve.request(&buffer[..length]) else { return Ok(()) };
    match rustix::io::write(fuse, &reply) {
        // Whoever asked is gone.
        Ok(_) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
        Err(errno) => Err(SpaceError::system("answer a FUSE request")(errno.into())),
    }
}

fn room(folder: &Path) -> Result<(), SpaceError> {
    let free = free(folder)
        .map_err(|e| SpaceError::system(format!("look at `{}`", folder.display()))(e))?;
    if free < RESERVE {
        return Err(SpaceError::NoSpace { folder: folder.to_owned() });
    }
    Ok(())
}
