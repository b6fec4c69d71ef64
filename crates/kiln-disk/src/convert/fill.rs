// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filling a disk that is empty yet, by several hands at once: for one that is far away, where each
//! request takes its time and many may be under way.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::pump::runs;
use crate::device::Device;

/// What one hand takes at a time: an object of Ceph.
const PIECE: u64 = 4 << 20;

/// Opens a disk once more, for one of the hands.
pub type Opener<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Device>> + Sync);

/// Writes the first `size` bytes of one disk into another that reads as zeros; zeros are not
/// written. `progress` gets how many bytes are done, and says whether to go on.
///
/// # Errors
///
/// The first error of a hand; [`io::ErrorKind::Interrupted`] if it is not to go on. The disk is
/// filled in part then.
pub fn fill(
    (from, to): (Opener<'_>, Opener<'_>),
    size: u64,
    hands: NonZeroUsize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> io::Result<()> {
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let failed = Mutex::new(None);
    let hand = || -> io::Result<()> {
        let (mut from, mut to) = (from()?, to()?);
        let mut buffer = Vec::new();
        loop {
            let at = next.fetch_add(PIECE, Ordering::Relaxed);
            if at >= size || stop.load(Ordering::Relaxed) {
                return to.flush();
            }
            let end = size.min(at + PIECE);
            piece((from.as_mut(), to.as_mut()), (at, end), &mut buffer)?;
            let sum = done.fetch_add(end - at, Ordering::Relaxed) + (end - at);
            if !progress(sum) {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..hands.get() {
            scope.spawn(|| {
                if let Err(error) = hand() {
                    stop.store(true, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Copies one piece: read by its extents, which may be many and short, and written in as few requests
/// as it has runs of data.
fn piece(
    (from, to): (&mut dyn Device, &mut dyn Device),
    (start, end): (u64, u64),
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let index = |at: u64| usize::try_from(at - start).map_err(io::Error::other);
    buffer.clear();
    buffer.resize(index(end)?, 0);
    let mut at = start;
    while at < end {
        let extent = from.extent(at)?;
        let next = at + extent.len.clamp(1, end - at);
        if !extent.zeros {
            from.read_at(at, &mut buffer[index(at)?..index(next)?])?;
        }
        at = next;
    }
    for run in runs(buffer) {
        let into = start + u64::try_from(run.start).map_err(io::Error::other)?;
        to.write_at(into, &buffer[run])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::device::RawFile;

    #[test]
    fn a_disk_is_filled_and_its_holes_stay() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let size = 4 * PIECE + 1234;
        for file in [&from, &to] {
            file.set_len(size).unwrap();
        }
        for at in [0, 4096, PIECE - 3, 3 * PIECE + 5, size - 4] {
            from.write_all_at(b"data", at).unwrap();
        }
        let open = |file: &std::fs::File| -> io::Result<Box<dyn Device>> {
            Ok(Box::new(RawFile::new(file.try_clone()?)?))
        };
        let hands = NonZeroUsize::new(3).unwrap();
        let most = AtomicU64::new(0);
        let seen = |done: u64| {
            most.fetch_max(done, Ordering::Relaxed);
            true
        };
        fill((&|| open(&from), &|| open(&to)), size, hands, &seen).unwrap();
        assert_eq!(most.into_inner(), size);
        let bytes = |file: &std::fs::File| {
            let mut bytes = vec![0; usize::try_from(size).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        assert!(bytes(&from) == bytes(&to));
        let stopped = fill((&|| open(&from), &|| open(&to)), size, hands, &|_| false);
        assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
        let broken: Opener<'_> = &|| Err(io::ErrorKind::NotFound.into());
        let failed = fill((broken, &|| open(&to)), size, hands, &|_| true);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
