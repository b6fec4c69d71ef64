// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many machines a host is asked to make at the same time: as many as it answers well.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many it is at first.
const FROM: usize = 4;
/// The fewest, however slow the host is.
const LEAST: usize = 2;
/// The most: libvirt's own workers are 20 unless it is told otherwise (`max_workers`).
const MOST: usize = 32;
/// A host is asked for less when one takes this many times as long as the fastest did.
const SLOWER: u32 = 2;

/// Lets so many make a machine at the same time as the host can take: one more after each that was
/// fast, one less after each that was slow. It is the rule of TCP Vegas: what waits in a queue takes
/// longer, and asking for more only lengthens the queue.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    most: usize,
    busy: usize,
    fastest: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        let state = State { most: FROM, busy: 0, fastest: None };
        Self { state: Mutex::new(state), freed: Condvar::new() }
    }
}

impl Pace {
    /// Does `work` when it has its turn. What fails says nothing of the host's speed.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub(crate) fn turn<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let waited = self.freed.wait_while(self.lock(), |state| state.busy >= state.most);
        waited.unwrap_or_else(PoisonError::into_inner).busy += 1;
        let (turn, began) = (Turn(self), Instant::now());
        let done = work();
        if done.is_ok() {
            self.lock().heard(began.elapsed());
        }
        drop(turn);
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn heard(&mut self, took: Duration) {
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        self.most = match took > fastest * SLOWER {
            true => self.most.saturating_sub(1).max(LEAST),
            false => (self.most + 1).min(MOST),
        };
    }
}

/// One's turn; the next is let in when it ends, however that is.
struct Turn<'a>(&'a Pace);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        // Not one: there may be room for several by now.
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_fast_host_is_asked_for_more_and_a_slow_one_for_less() {
        let pace = Pace::default();
        let most = || pace.lock().most;
        let hear = |ms: u64, times: usize| {
            (0..times).for_each(|_| pace.lock().heard(Duration::from_millis(ms)));
        };
        hear(100, 3);
        assert_eq!(most(), FROM + 3);
        hear(200, 1);
        assert_eq!(most(), FROM + 4, "twice as long is not slow yet");
        hear(201, 2);
        assert_eq!(most(), FROM + 2);
        hear(900, 100);
        assert_eq!(most(), LEAST);
        hear(150, 100);
        assert_eq!(most(), MOST);
    }

    #[test]
    fn no_more_than_allowed_have_their_turn_and_a_failure_says_nothing() {
        let pace = Pace::default();
        let (busy, highest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let first = Barrier::new(FROM);
        thread::scope(|scope| {
            for n in 0..5 * FROM {
                let (pace, busy, highest, first) = (&pace, &busy, &highest, &first);
                scope.spawn(move || {
                    let failed: Result<(), usize> = pace.turn(|| {
                        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
                        highest.fetch_max(now, Ordering::SeqCst);
                        // They go on in fours: so many are in at the same time.
                        first.wait();
                        busy.fetch_sub(1, Ordering::SeqCst);
                        Err(n)
                    });
                    assert_eq!(failed, Err(n));
                });
            }
        });
        assert_eq!(highest.load(Ordering::SeqCst), FROM);
        let State { most, busy, .. } = *pace.lock();
        assert_eq!((most, busy), (FROM, 0));
    }

    #[test]
    fn a_turn_that_panics_is_over() {
        let pace = Pace::default();
        thread::scope(|scope| {
            let turn = scope.spawn(|| pace.turn(|| -> Result<(), ()> { panic!("on purpose") }));
            assert!(turn.join().is_err());
        });
        assert_eq!(pace.turn(|| Ok::<_, ()>(7)), Ok(7));
        assert_eq!(pace.lock().busy, 0);
    }
}
