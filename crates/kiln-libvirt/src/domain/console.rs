// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine's console, live.
//!
//! The stream never blocks inside libvirt: libvirt's event loop tells when there is something to
//! read, so that one thread can read while another writes, and both can be stopped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use virt_sys as sys;

use super::Domain;
use crate::error::{Attempt, Cause, Error};
use crate::ffi::handle::Stream;
use crate::ffi::stream::{self as ffi, Notified, Received};

/// What to do about somebody else on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsoleMode {
    /// Fail if the host's driver cannot keep others out, or somebody is there.
    Safe,
    /// Throw the other one out.
    Force,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing in the time given.
    Nothing,
    /// The machine stopped, somebody else took the console, or [`Console::close`] was called.
    End,
}

/// An open console. Usable from two threads: one reads, one writes.
#[derive(Debug)]
pub struct Console {
    stream: Stream,
    signal: Arc<Signal>,
    // The connection stays open as long as its stream.
    domain: Domain,
}

#[derive(Debug, Default)]
struct Signal {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    readable: bool,
    writable: bool,
    /// What is told of now: a level that is not taken away is told again and again.
    wanted: u32,
    ended: bool,
    closed: bool,
}

const ENDS: u32 = sys::VIR_STREAM_EVENT_ERROR | sys::VIR_STREAM_EVENT_HANGUP;

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `met`, at most until `end`; returns whether it is.
    fn wait(&self, end: Option<Instant>, met: impl Fn(&Flags) -> bool) -> bool {
        let mut flags = self.lock();
        loop {
            if met(&flags) {
                return true;
            }
            let left = match end {
                None => Duration::MAX,
                Some(end) => match end.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => left,
                    _ => return false,
                },
            };
            flags = self
                .changed
                .wait_timeout(flags, left.min(LONGEST))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// The longest single wait: `Condvar` cannot take `Duration::MAX` on every system.
const LONGEST: Duration = Duration::from_secs(3600);

impl Notified for Signal {
    fn notify(&self, events: u32, watch_for: &dyn Fn(u32)) {
        let mut flags = self.lock();
        flags.readable |= events & sys::VIR_STREAM_EVENT_READABLE != 0;
        flags.writable |= events & sys::VIR_STREAM_EVENT_WRITABLE != 0;
        flags.ended |= events & ENDS != 0;
        flags.wanted &= !events;
        // With the lock held, as in `Console::want`: the last of the two to set it is right.
        watch_for(flags.wanted);
        self.changed.notify_all();
    }
}

impl Domain {
    /// Opens its first console (its serial port).
    ///
    /// # Errors
    ///
    /// [`Error::is_operation_invalid`] if it is off; with [`ConsoleMode::Safe`] also if somebody
    /// else has the console.
    pub fn open_console(&self, mode: ConsoleMode) -> Result<Console, Error> {
        const WHAT: &str = "open the console of";
        let stream = ffi::new(self.connection.handle(), false).on(WHAT, self.name())?;
        let flags = match mode {
            ConsoleMode::Safe => sys::VIR_DOMAIN_CONSOLE_SAFE,
            ConsoleMode::Force => sys::VIR_DOMAIN_CONSOLE_FORCE,
        };
        crate::ffi::domain::open_console(&self.handle, None, &stream, flags)
            .on(WHAT, self.name())?;
        let signal = Arc::new(Signal::default());
        let wanted = ENDS | sys::VIR_STREAM_EVENT_READABLE;
        signal.lock().wanted = wanted;
        ffi::watch(&stream, wanted, Arc::clone(&signal)).on(WHAT, self.name())?;
        Ok(Console { stream, signal, domain: self.clone() })
    }
}

impl Console {
    /// Waits for what the guest writes, at most so long (`None`: as long as it takes).
    ///
    /// # Errors
    ///
    /// If the stream breaks.
    pub fn read(&self, into: &mut [u8], most: Option<Duration>) -> Result<Read, Error> {
        let end = most.map(|most| Instant::now() + most);
        loop {
            if self.signal.lock().closed {
                return Ok(Read::End);
            }
            let received = ffi::receive(&self.stream, into, false);
            match received {
                Ok(Received::Bytes(n)) => return Ok(Read::Bytes(n)),
                Ok(Received::End | Received::Hole) => return Ok(Read::End),
                Ok(Received::Nothing) => {}
                Err(_) if self.signal.lock().closed => return Ok(Read::End),
                Err(cause) => return Err(self.error("read the console of", cause)),
            }
            if self.signal.lock().ended {
                return Ok(Read::End);
            }
            self.want(sys::VIR_STREAM_EVENT_READABLE)?;
            if !self.signal.wait(end, |f| f.readable || f.ended || f.closed) {
                return Ok(Read::Nothing);
            }
        }
    }

    /// Writes all the bytes to the guest.
    ///
    /// # Errors
    ///
    /// If the stream breaks, or ended.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        const WHAT: &str = "write to the console of";
        let mut rest = bytes;
        while !rest.is_empty() {
            let flags = *self.signal.lock();
            if flags.ended || flags.closed {
                let error = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
                return Err(self.error(WHAT, error.into()));
            }
            match ffi::send(&self.stream, rest).map_err(|c| self.error(WHAT, c))? {
                Some(sent) => rest = rest.get(sent..).unwrap_or_default(),
                None => {
                    self.want(sys::VIR_STREAM_EVENT_WRITABLE)?;
                    self.signal.wait(None, |f| f.writable || f.ended || f.closed);
                }
            }
        }
        Ok(())
    }

    /// Leaves the console; a reader in another thread returns [`Read::End`]. The guest does not
    /// notice.
    pub fn close(&self) {
        let mut flags = self.signal.lock();
        if std::mem::replace(&mut flags.closed, true) {
            return;
        }
        drop(flags);
        self.signal.changed.notify_all();
        ffi::unwatch(&self.stream);
        // A stream that has ended has nothing to abort.
        let _ = ffi::abort(&self.stream);
    }

    /// Asks to be told of `event` once more.
    fn want(&self, event: u32) -> Result<(), Error> {
        let mut flags = self.signal.lock();
        if flags.closed {
            return Ok(());
        }
        if event == sys::VIR_STREAM_EVENT_READABLE {
            flags.readable = false;
        } else {
            flags.writable = false;
        }
        flags.wanted |= event;
        ffi::watch_for(&self.stream, flags.wanted)
            .map_err(|cause| self.error("watch the console of", cause))
    }

    fn error(&self, what: &'static str, cause: Cause) -> Error {
        Error::new(what, self.domain.name(), cause)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.close();
    }
}
