// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln build --shell`: a shell on the tree of a step that failed.
//!
//! It talks to a terminal of its own, not to the user's: what runs in a tree could put words into
//! the user's shell otherwise (TIOCSTI).

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kiln_build::build::Kept;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use crate::commands::console::RawTerminal;
use crate::context::Context;
use crate::error::{Class, Problem};

/// How often it is looked whether the shell has ended, or the window has another size.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// What a terminal reads as the end of its input: Ctrl-D.
const END: u8 = 4;

/// Runs the shell to its end; returns its exit status.
pub(super) fn run(ctx: &Context, kept: Kept<'_>) -> anyhow::Result<u8> {
    let (ours, theirs) = terminal()
        .map_err(|source| Problem::new(Class::Host, "could not open a terminal").because(source))?;
    ctx.ui.say(format!(
        "a shell on the tree of the step `{}`; the tree is gone when it ends",
        kept.step
    ));
    let raw = if io::stdin().is_terminal() { Some(RawTerminal::enter()?) } else { None };
    let term = ctx.env.term.clone().unwrap_or_else(|| "dumb".to_owned());
    let ended = AtomicBool::new(false);
    let code = thread::scope(|scope| {
        scope.spawn(|| show(&ours));
        scope.spawn(|| type_into(&ours, &ended));
        let code = kept.shell(theirs, vec![("TERM".to_owned(), term)]);
        ended.store(true, Ordering::SeqCst);
        code
    });
    drop(raw);
    let code = code?;
    ctx.ui.say(format!("the shell ended with status {code}"));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Makes a terminal: our end, and the shell's.
fn terminal() -> io::Result<(File, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty())?;
    Ok((ours.into(), theirs))
}

/// Shows what the shell writes, until nobody has its terminal any more.
fn show(mut ours: &File) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match ours.read(&mut buffer) {
            // EIO when the last one has closed the other end.
            Ok(0) | Err(_) => return,
            Ok(got) => {
                let mut out = io::stdout().lock();
                if out.write_all(&buffer[..got]).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Hands on what the user types, until the shell has ended.
fn type_into(mut ours: &File, ended: &AtomicBool) {
    let stdin = io::stdin();
    let (mut buffer, mut typing) = ([0; 1024], true);
    while !ended.load(Ordering::SeqCst) {
        if let Ok(size) = tcgetwinsize(&stdin)
            && tcgetwinsize(ours)
                .is_ok_and(|known| known.ws_row != size.ws_row || known.ws_col != size.ws_col)
        {
            // A wrong width is no reason to end.
            tcsetwinsize(ours, size).ok();
        }
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let watched: &mut [PollFd<'_>] = if typing { &mut fds } else { &mut [] };
        if poll(watched, Some(&TICK)).unwrap_or(0) == 0 {
            continue;
        }
        let got = stdin.lock().read(&mut buffer).unwrap_or(0);
        typing = got > 0;
        let bytes = if typing { &buffer[..got] } else { &[END] };
        if ours.write_all(bytes).is_err() {
            return;
        }
    }
}
