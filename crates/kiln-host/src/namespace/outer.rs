// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The outer stage: has the guest's ids and the caller's own, so that it can prepare the scratch
//! folder, read what the program changed, and remove it all.
//!
//! It is not tied to the life of its starter: when that is gone it ends the program, removes what
//! only the guest's ids can remove, and ends itself.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::thread::UnshareFlags;

use super::middle::{SELF, become_root, leave, stage};
use super::wire::{Message, Wire};
use super::{BUSY, LEFT, Root, Setup, SpaceError, WORK, collect, free, ids, layers, remove};
use crate::lock::Lock;

/// Is the outer stage, to its end.
pub(super) fn run() -> Result<(), SpaceError> {
    let mut starter = Wire::stdin().map_err(SpaceError::system("open the wire"))?;
    let Message::Setup(setup) = starter.expect()? else { return Err(SpaceError::Lost) };
    // Opened while we are who may read it.
    let own = File::open(SELF);
    take_ids(&mut starter)?;
    // Whoever removes what is left waits until this stage has done so itself, or is gone. The
    // starter made it: where it is gone, the starter was killed, and all that was its is removed.
    let _busy = Lock::wait_existing(&setup.scratch.join(BUSY))
        .map_err(|error| SpaceError::system("lock the scratch folder")(io::Error::other(error)))?;
    rustix::process::umask(Mode::empty());
    let work = setup.scratch.join(WORK);
    // What is changed in layers is kept, or removed by a stage of its own.
    let stays = matches!(setup.root, Root::Layers(_));
    let ended = prepare(&setup).and_then(|()| supervise(&mut starter, *setup, own));
    let mut removed = std::env::set_current_dir("/");
    if !stays {
        removed = removed.and_then(|()| remove::tree(&work));
    }
    ended?;
    removed.map_err(SpaceError::system(format!("remove `{}`", work.display())))
}

/// Gets the guest's ids, and the caller's own, from the starter.
fn take_ids(starter: &mut Wire) -> Result<(), SpaceError> {
    leave(UnshareFlags::NEWUSER)?;
    starter.send(&Message::Unshared).map_err(SpaceError::system("speak"))?;
    let Message::Mapped = starter.expect()? else { return Err(SpaceError::Lost) };
    become_root()
}

/// Is the stage that removes what an outer stage left that was killed.
pub(super) fn remove_left() -> Result<(), SpaceError> {
    let mut starter = Wire::stdin().map_err(SpaceError::system("open the wire"))?;
    let Message::Remove(scratch) = starter.expect()? else { return Err(SpaceError::Lost) };
    take_ids(&mut starter)?;
    LEFT.iter().try_for_each(|name| remove_tree(&scratch.join(name)))?;
    starter.send(&Message::Done).map_err(SpaceError::system("speak"))
}

fn remove_tree(top: &Path) -> Result<(), SpaceError> {
    let mut left = ATTEMPTS;
    loop {
        match remove::tree(top) {
            Ok(()) => return Ok(()),
            Err(source) if left == 0 => {
                return Err(SpaceError::system(format!("remove `{}`", top.display()))(source));
            }
            // The program was killed with its stages, but its last process may still be going.
            // It is nobody's child by now: there is nothing to wait for.
            Err(_) => std::thread::sleep(PAUSE),
        }
        left -= 1;
    }
}

/// Is the stage that makes a layer of what programs changed.
pub(super) fn keep() -> Result<(), SpaceError> {
    let mut starter = Wire::stdin().map_err(SpaceError::system("open the wire"))?;
    let Message::Keep(scratch) = starter.expect()? else { return Err(SpaceError::Lost) };
    take_ids(&mut starter)?;
    let bytes = layers::seal(&scratch)?;
    starter.send(&Message::Kept(bytes)).map_err(SpaceError::system("speak"))
}

/// How long the program goes on until its changes are looked at again.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// How much the program may change.
struct Room {
    bytes: u64,
    /// What the host's file system had free at first.
    free: u64,
}

impl Room {
    fn new(bytes: u64) -> Self {
        Self { bytes, free: left() }
    }

    /// Returns whether the changes take more. All of them are only counted if as much is gone from
    /// the host's file system, which others fill, too.
    fn is_full(&self) -> bool {
        self.free.saturating_sub(left()) > self.bytes && used("upper".as_ref()) > self.bytes
    }
}

/// Returns what is free where the changes are.
fn left() -> u64 {
    free("upper".as_ref()).unwrap_or(0)
}

/// Returns the bytes that a folder takes. The program is at work in it: what cannot be looked at is
/// gone again.
fn used(top: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut todo = vec![top.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // As lstat(2).
            let Ok(about) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(about.blocks().saturating_mul(512));
            if about.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    bytes
}

/// How often, and after which pause, removing is tried again: five seconds in all.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Makes the folders that the inner stage mounts, and goes into the one that holds them.
fn prepare(setup: &Setup) -> Result<(), SpaceError> {
    let work = setup.scratch.join(WORK);
    let layers = match &setup.root {
        Root::Fuse => None,
        Root::Layers(layers) => Some(layers),
    };
    let make = || {
        match fs::create_dir(&work) {
            Err(error) if layers.is_some() && error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        std::env::set_current_dir(&work)?;
        let mode = |bits| std::os::unix::fs::PermissionsExt::from_mode(bits);
        if let Some(layers) = layers {
            layers.prepare()?;
        } else {
            for folder in ["lower", "upper", "work", "root"] {
                fs::create_dir(folder)?;
            }
            fs::set_permissions("upper", mode(0o755))?;
        }
        fs::create_dir("aside")?;
        fs::set_permissions(".", mode(0o700))?;
        for n in 0..setup.aside.len() {
            let folder = format!("aside/{n}");
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, mode(0o755))?;
        }
        if setup.file {
            fs::copy(setup.scratch.join(super::PROGRAM_FILE), super::PROGRAM_FILE)?;
        }
        Ok(())
    };
    make().map_err(SpaceError::system(format!("prepare `{}`", work.display())))
}

/// Starts the next stages and speaks for them until they end; then hands the changes on, if the
/// starter wants them.
fn supervise(starter: &mut Wire, setup: Setup, own: io::Result<File>) -> Result<(), SpaceError> {
    let (ours, theirs) = UnixStream::pair().map_err(SpaceError::system("make a socket"))?;
    let mut wire = Wire::new(ours);
    let words: &[&str] = if setup.network { &["middle", "network"] } else { &["middle"] };
    let program = program(own).map_err(SpaceError::system("copy the program"))?;
    let mut middle = stage(program, words, Wire::new(theirs))?;
    let told = guide(starter, &mut wire, &middle, setup);
    if told.is_err() || matches!(told, Ok(Message::Full(_))) {
        middle.kill().ok();
    }
    // The end of the inner stage is the end of all processes of the program: pid_namespaces(7).
    middle.wait().map_err(SpaceError::system("wait"))?;
    let end = told?;
    let speak = |e| SpaceError::System { what: "speak".into(), source: e };
    starter.send(&end).map_err(speak)?;
    match starter.receive().map_err(speak)? {
        Some(Message::Collect) => collect::send("upper".as_ref(), starter),
        _ => Ok(()),
    }
}

/// Returns what the next stages are started as. A program that only its owner may start (a umask
/// of 077) is copied: beyond here nobody is its owner.
fn program(own: io::Result<File>) -> io::Result<&'static str> {
    const COPY: &str = "./kiln";
    if fs::metadata(SELF)?.permissions().mode() & 0o001 != 0 {
        return Ok(SELF);
    }
    io::copy(&mut own?, &mut File::create(COPY)?)?;
    fs::set_permissions(COPY, fs::Permissions::from_mode(0o755))?;
    Ok(COPY)
}

/// Brings the next stages to run the program. Returns what they say of its end.
fn guide(
    starter: &mut Wire,
    wire: &mut Wire,
    middle: &Child,
    setup: Setup,
) -> Result<Message, SpaceError> {
    let speak = |e| SpaceError::System { what: "speak".into(), source: e };
    let Message::Unshared = wire.expect()? else { return Err(SpaceError::Lost) };
    ids::map_inner(middle.id())?;
    wire.send(&Message::Mapped).map_err(speak)?;
    let (data, has_fuse) = (setup.data, setup.root == Root::Fuse);
    let room = setup.room.filter(|_| has_fuse).map(Room::new);
    wire.send(&Message::Setup(Box::new(setup))).map_err(speak)?;
    if data {
        let Message::Data = starter.expect()? else { return Err(SpaceError::Lost) };
        let fd = starter.take_fd().ok_or(SpaceError::Lost)?;
        wire.send_fd(&Message::Data, fd.as_fd()).map_err(speak)?;
    }
    if has_fuse {
        let Message::Fuse = wire.expect()? else { return Err(SpaceError::Lost) };
        let fuse = wire.take_fd().ok_or(SpaceError::Lost)?;
        starter.send_fd(&Message::Fuse, fuse.as_fd()).map_err(speak)?;
    }
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(wire.fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(starter.fd(), PollFlags::IN),
        ];
        match poll(&mut fds, room.as_ref().map(|_| &LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {
                match room.as_ref().filter(|room| room.is_full()) {
                    Some(room) => return Ok(Message::Full(room.bytes)),
                    None => continue,
                }
            }
            other => other.map_err(|e| speak(e.into()))?,
        };
        let (inner, above) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if inner {
            return match wire.expect()? {
                end @ (Message::Ended(_) | Message::Answered(_)) => Ok(end),
                _ => Err(SpaceError::Lost),
            };
        }
        if above {
            // The starter says nothing at this time: it is gone, or wants an end.
            return Err(SpaceError::Lost);
        }
    }
}
