// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reading, packing and writing a disk at the same time.
//!
//! Workers take the next part of the disk, read it and prepare it (find zeros, compress); the
//! caller's thread places what is prepared in the order of the disk, so that the same disk always
//! gives the same file. Holes are skipped, not read. **Invariant:** there are never more parts
//! under way than buffers, which are made once.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::ConvertError;
use crate::device::{Device, len64};

/// Bytes of a part.
const PART: u64 = 2 << 20;

/// How a disk is read.
pub(super) struct Pump<'a> {
    /// Its size.
    pub(super) size: u64,
    /// Parts begin at multiples of this, and end there or at the disk's end.
    pub(super) unit: u64,
    /// How many workers.
    pub(super) threads: usize,
    /// Gets what is done and the size.
    pub(super) progress: &'a dyn Fn(u64, u64),
}

/// What a worker does with a part: where it is, and its bytes.
pub(super) type Prepare<'a, P> = &'a (dyn Fn(u64, &[u8]) -> io::Result<P> + Sync);

/// A part on its way.
struct Part<P> {
    at: u64,
    bytes: Vec<u8>,
    prepared: P,
}

/// Where the next part is, and which number it has.
#[derive(Default)]
struct Cursor {
    at: u64,
    number: u64,
    ended: bool,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here is left half done by a panic that matters after it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("a part is some MiB")
}

impl Pump<'_> {
    /// Moves the disk: each part that is no hole is prepared by a worker, and then placed here, in
    /// order. `failed` makes an error of what preparing or placing says.
    pub(super) fn run<P: Send>(
        &self,
        sources: Vec<Box<dyn Device + '_>>,
        prepare: Prepare<'_, P>,
        mut place: impl FnMut(u64, &[u8], P) -> io::Result<()>,
        failed: impl Fn(io::Error) -> ConvertError,
    ) -> Result<(), ConvertError> {
        let sources: Vec<_> = sources.into_iter().map(Mutex::new).collect();
        let cursor = Mutex::new(Cursor::default());
        let (to_free, free) = channel();
        for _ in 0..2 * self.threads + 1 {
            to_free.send(vec![0; index(PART)]).expect("the other end is here");
        }
        let free = Mutex::new(free);
        (self.progress)(0, self.size);
        let done = std::thread::scope(|scope| {
            let (to_write, parts) = channel();
            for worker in 0..self.threads.max(sources.len()) {
                let source = &sources[worker % sources.len()];
                let work = Work { pump: (self.size, self.unit), cursor: &cursor, free: &free };
                let out = to_write.clone();
                scope.spawn(move || work.run(source, prepare, &out));
            }
            drop(to_write);
            // Moved in: when this ends early, workers that wait for a buffer end, too.
            let to_free = to_free;
            self.place(&parts, &to_free, &mut place)
        });
        match done {
            Ok(()) => {
                (self.progress)(self.size, self.size);
                Ok(())
            }
            Err(Stop::Read { at, source }) => Err(ConvertError::Read { at, source }),
            Err(Stop::Write(error)) => Err(failed(error)),
            Err(Stop::Interrupted) => Err(ConvertError::Interrupted),
        }
    }

    /// Places the parts in their order, until there are no more.
    fn place<P>(
        &self,
        parts: &Receiver<(u64, Result<Part<P>, Stop>)>,
        free: &Sender<Vec<u8>>,
        place: &mut impl FnMut(u64, &[u8], P) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, part) in parts {
            if kiln_host::signal::interrupted() {
                return Err(Stop::Interrupted);
            }
            early.insert(number, part?);
            while let Some(part) = early.remove(&next) {
                place(part.at, &part.bytes, part.prepared).map_err(Stop::Write)?;
                (self.progress)(part.at + len64(&part.bytes), self.size);
                // Nobody waits for it any more when all has been read.
                free.send(part.bytes).ok();
                next += 1;
            }
        }
        Ok(())
    }
}

/// Why nothing more is done.
enum Stop {
    Read { at: u64, source: io::Error },
    Write(io::Error),
    Interrupted,
}

/// What a worker has in common with the others.
struct Work<'a> {
    /// The size of the disk and the unit.
    pump: (u64, u64),
    cursor: &'a Mutex<Cursor>,
    free: &'a Mutex<Receiver<Vec<u8>>>,
}

impl Work<'_> {
    fn run<P>(
        &self,
        source: &Mutex<Box<dyn Device + '_>>,
        prepare: Prepare<'_, P>,
        out: &Sender<(u64, Result<Part<P>, Stop>)>,
    ) {
        loop {
            // First the buffer, then the number: the lowest number always has a buffer.
            let Ok(mut bytes) = lock(self.free).recv() else { return };
            let (number, read) = self.read(source, &mut bytes);
            let part = match read {
                Ok(None) => return,
                Ok(Some(at)) => prepare(at, &bytes)
                    .map(|prepared| Part { at, bytes, prepared })
                    .map_err(Stop::Write),
                Err(stop) => Err(stop),
            };
            let ended = part.is_err();
            if out.send((number, part)).is_err() || ended {
                return;
            }
        }
    }

    /// Reads the next part that is no hole; `None` if there is none.
    fn read(
        &self,
        source: &Mutex<Box<dyn Device + '_>>,
        bytes: &mut Vec<u8>,
    ) -> (u64, Result<Option<u64>, Stop>) {
        let mut device = lock(source);
        let (number, at, len) = {
            let mut cursor = lock(self.cursor);
            match self.next(device.as_mut(), &mut cursor) {
                Ok(Some(len)) => {
                    let (number, at) = (cursor.number, cursor.at);
                    (cursor.at, cursor.number) = (at + len, number + 1);
                    (number, at, len)
                }
                Ok(None) => return (0, Ok(None)),
                Err(source) => {
                    cursor.ended = true;
                    return (0, Err(Stop::Read { at: cursor.at, source }));
                }
            }
        };
        bytes.resize(index(len), 0);
        let read = device.read_at(at, bytes).map_err(|source| Stop::Read { at, source });
        (number, read.map(|()| Some(at)))
    }

    /// Moves the cursor to the next bytes that are no hole, and returns how many they are; `None`
    /// at the end.
    fn next(&self, device: &mut dyn Device, cursor: &mut Cursor) -> io::Result<Option<u64>> {
        let (size, unit) = self.pump;
        while cursor.at < size && !cursor.ended {
            let extent = device.extent(cursor.at)?;
            let end = cursor.at.saturating_add(extent.len.max(1)).min(size);
            // A hole that does not fill its unit is read with what is around it.
            let whole = if end == size { size } else { end / unit * unit };
            if extent.zeros && whole > cursor.at {
                cursor.at = whole;
                continue;
            }
            let mut stop = end.next_multiple_of(unit);
            while stop < size && stop - cursor.at < PART {
                let more = device.extent(stop)?;
                if more.zeros {
                    break;
                }
                stop = stop.saturating_add(more.len.max(1)).min(size).next_multiple_of(unit);
            }
            return Ok(Some((stop - cursor.at).min(PART).min(size - cursor.at)));
        }
        Ok(None)
    }
}

/// Returns whether all bytes are zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<128>();
    // A block at a time, so that the compiler can take many bytes at once.
    blocks.iter().all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|&byte| byte == 0)
}

/// Bytes that are looked at together for zeros: a block of most file systems.
const BLOCK: usize = 4096;

/// Returns the runs of `bytes` that are not zeros, each up to whole blocks of 4 KiB.
pub(super) fn runs(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (n, block) in bytes.chunks(BLOCK).enumerate() {
        if is_zero(block) {
            continue;
        }
        let (start, end) = (n * BLOCK, n * BLOCK + block.len());
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_found_in_blocks() {
        assert!(is_zero(&[0; 1000]) && is_zero(&[]));
        for at in [0, 1, 127, 128, 500, 999] {
            let mut bytes = [0; 1000];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "{at}");
        }
        let mut bytes = vec![0; 5 * BLOCK + 10];
        assert_eq!(runs(&bytes), []);
        bytes[5] = 1;
        bytes[2 * BLOCK - 1] = 1;
        bytes[5 * BLOCK + 9] = 1;
        assert_eq!(runs(&bytes), [0..2 * BLOCK, 5 * BLOCK..5 * BLOCK + 10]);
    }
}
