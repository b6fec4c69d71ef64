// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ctrl-C and its kin, as a value that every wait can see.
//!
//! The first SIGINT, SIGTERM or SIGHUP asks for an orderly end: children are stopped, what was
//! begun is undone. The second ends the program at once; the journal keeps what is left to undo.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// Begins to listen for SIGINT, SIGTERM and SIGHUP. Called once, by `main`.
///
/// # Errors
///
/// What the system says when a handler cannot be set.
pub fn listen() -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if CAUGHT.swap(signal, Ordering::SeqCst) != 0 {
                let ended = signal_hook::low_level::emulate_default_handler(signal);
                drop(ended);
            }
        }
    });
    Ok(())
}

/// Returns whether a signal asked us to end.
#[must_use]
pub fn interrupted() -> bool {
    CAUGHT.load(Ordering::SeqCst) != 0
}

/// Returns the number of the signal that asked us to end, if one did.
#[must_use]
pub fn caught() -> Option<i32> {
    Some(CAUGHT.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
}

/// Returns a signal's name, `SIGKILL` for 9, or its number where it has none.
#[must_use]
pub fn name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| signal.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(63), "63");
    }
}
