// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln console`.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kiln_host::signal;
use kiln_libvirt::domain::{Console as Stream, ConsoleMode, Read as ConsoleRead};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{self, OptionalActions, Termios};

use crate::args::console::Console;
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::host;

/// `VIR_ERR_OPERATION_FAILED`: libvirt's virterror.h.
const OPERATION_FAILED: u32 = 9;
/// Ctrl-], which leaves: as in telnet and virsh.
const LEAVE: u8 = 0x1d;
/// How often the reader looks whether the user has left.
const TICK: Duration = Duration::from_millis(100);

/// The terminal in raw mode; put back when dropped, also after a panic.
pub(crate) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    pub(crate) fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may be gone; there is nobody to tell then.
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before).ok();
    }
}

/// Attaches the terminal to the console until Ctrl-], the machine's end or a signal.
pub(crate) fn run(ctx: &Context, args: &Console) -> anyhow::Result<u8> {
    let conn = host::connect(ctx)?;
    let machine = Machine::find(&conn, &args.name)?;
    machine.expect_running()?;
    let mode = if args.force { ConsoleMode::Force } else { ConsoleMode::Safe };
    let stream = machine.domain.open_console(mode).map_err(|error| {
        // libvirt has no number of its own for a console that is in use.
        let refused = error.libvirt().is_some_and(|e| e.code == OPERATION_FAILED);
        if refused || error.is_operation_invalid() || error.is_exists() {
            let what = format!("somebody else has the console of `{}`", machine.name);
            let problem = Problem::new(Class::Object, what).hint("`--force` takes it over");
            anyhow::Error::new(problem.because(error))
        } else {
            error.into()
        }
    })?;
    let stream = Arc::new(stream);
    ctx.ui.say(format!("console of `{}`; Ctrl-] leaves", machine.name));
    let raw = if io::stdin().is_terminal() { Some(RawTerminal::enter()?) } else { None };
    let left = attach(&stream);
    stream.close();
    drop(raw);
    ctx.ui.say("");
    match left? {
        Left::ByUser => ctx.ui.say(format!("left the console of `{}`", machine.name)),
        Left::StreamEnded if machine.domain.state()?.is_active() => {
            ctx.ui.say(format!("somebody else took the console of `{}` over", machine.name));
        }
        Left::StreamEnded => ctx.ui.say(format!("`{}` has stopped", machine.name)),
    }
    Ok(0)
}

enum Left {
    ByUser,
    StreamEnded,
}

/// Moves bytes both ways: the guest's from another thread, the user's in this one.
fn attach(stream: &Arc<Stream>) -> anyhow::Result<Left> {
    let ended = Arc::new(AtomicBool::new(false));
    let (from, flag) = (Arc::clone(stream), Arc::clone(&ended));
    let reader = thread::spawn(move || {
        let mut buf = vec![0; 16 << 10];
        loop {
            match from.read(&mut buf, None) {
                Ok(ConsoleRead::Bytes(n)) => {
                    let mut out = io::stdout().lock();
                    if out.write_all(&buf[..n]).and_then(|()| out.flush()).is_err() {
                        break;
                    }
                }
                Ok(ConsoleRead::Nothing) => {}
                Ok(ConsoleRead::End) | Err(_) => break,
            }
        }
        flag.store(true, Ordering::SeqCst);
    });
    let left = type_into(stream, &ended);
    stream.close();
    reader.join().ok();
    left
}

fn type_into(stream: &Stream, ended: &AtomicBool) -> anyhow::Result<Left> {
    let stdin = io::stdin();
    let mut buf = [0; 1024];
    let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
    // A closed or empty standard input ends the typing, not the watching.
    let mut typing = true;
    loop {
        if ended.load(Ordering::SeqCst) {
            return Ok(Left::StreamEnded);
        }
        if signal::interrupted() {
            return Ok(Left::ByUser);
        }
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let watched: &mut [PollFd<'_>] = if typing { &mut fds } else { &mut [] };
        let ready = match poll(watched, Some(&tick)) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
        if ready == 0 {
            continue;
        }
        let got = stdin.lock().read(&mut buf)?;
        let typed = &buf[..got];
        typing = got > 0;
        match typed.iter().position(|b| *b == LEAVE) {
            Some(at) => {
                stream.write(&typed[..at])?;
                return Ok(Left::ByUser);
            }
            None => stream.write(typed)?,
        }
    }
}
