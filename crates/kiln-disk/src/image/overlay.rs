// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Changes over a device that stays as it is: reads go through, writes are kept beside.
//!
//! Written bytes are kept in blocks of 4 KiB, first in memory, then in a file without a name.
//! What is discarded is kept as runs of zeros, so that a disk of terabytes can be discarded at
//! once. **Invariant:** no block is both data and a run of zeros.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::store::{BLOCK, Slot, Store};
use crate::device::{Device, Extent, len64, within};

/// Bytes of a block, as an offset.
const BLOCK64: u64 = 4096;

/// The most bytes of one run of [`Overlay::next_change`].
const MOST_RUN: u64 = 4 << 20;

/// A device whose changes are kept beside it.
#[derive(Debug)]
pub struct Overlay<B> {
    base: B,
    size: u64,
    writable: bool,
    data: BTreeMap<u64, Slot>,
    zeros: Runs,
    store: Store,
}

/// A run of changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first byte; a multiple of 4 KiB unless asked for from elsewhere.
    pub at: u64,
    /// How many bytes; at least one.
    pub len: u64,
    /// Whether all are zeros: discarded. Written bytes may be zeros, too.
    pub zeros: bool,
}

impl<B: Device> Overlay<B> {
    /// Returns `base` with no changes. `folder` is where a temporary file goes if the changes are
    /// many.
    pub fn new(base: B, folder: PathBuf) -> Self {
        let (size, store) = (base.size(), Store::new(folder));
        let (data, zeros) = (BTreeMap::new(), Runs::default());
        Self { base, size, writable: true, data, zeros, store }
    }

    /// Makes writing fail with [`ErrorKind::ReadOnlyFilesystem`].
    pub fn forbid_writing(&mut self) {
        self.writable = false;
    }

    /// Returns the device below.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// Returns the device below, to be changed. What reads as changed stays so.
    pub fn base_mut(&mut self) -> &mut B {
        &mut self.base
    }

    /// Returns whether anything was written, discarded or resized.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.data.is_empty() || !self.zeros.0.is_empty() || self.size != self.base.size()
    }

    /// Forgets all changes.
    pub fn clear(&mut self) {
        self.data.clear();
        self.zeros = Runs::default();
        self.store.clear();
        self.size = self.base.size();
    }

    /// Makes the device `size` bytes long. New bytes are zeros; cut-off bytes are forgotten.
    ///
    /// # Errors
    ///
    /// What the medium says, if a block is cut.
    pub fn resize(&mut self, size: u64) -> io::Result<()> {
        let old = self.size;
        let cut = size.div_ceil(BLOCK64);
        for (_, slot) in self.data.split_off(&cut) {
            self.store.release(slot);
        }
        self.zeros.remove(cut, u64::MAX);
        self.size = size;
        if size > old {
            self.zero(old, size - old)?;
        }
        Ok(())
    }

    /// Returns the first run of changes at or after byte `from`, at most 4 MiB of data or all of a
    /// run of zeros.
    #[must_use]
    pub fn next_change(&self, from: u64) -> Option<Change> {
        self.next_change_within(from, MOST_RUN)
    }

    /// Returns what [`Overlay::next_change`] does, with a run of data of about `most` bytes at
    /// most, for a caller that does not need to know more.
    pub(super) fn next_change_within(&self, from: u64, most: u64) -> Option<Change> {
        let block = from / BLOCK64;
        let data = self.data.range(block..).next().map(|(at, _)| *at);
        let zeros = self.zeros.next(block);
        let (start, end, is_zeros) = match (data, zeros) {
            (None, None) => return None,
            (Some(data), zeros) if zeros.is_none_or(|(at, _)| data < at) => {
                let most = data + (most / BLOCK64).max(1);
                let blocks = self.data.range(data..most).zip(data..);
                let end = blocks.take_while(|((at, _), next)| *at == next).last();
                (data, end.map_or(data, |((at, _), _)| *at) + 1, false)
            }
            (_, zeros) => zeros.map(|(start, end)| (start, end, true))?,
        };
        let at = from.max(start * BLOCK64);
        let end = end.saturating_mul(BLOCK64).min(self.size);
        (at < end).then(|| Change { at, len: end - at, zeros: is_zeros })
    }

    /// Fills from the device below, which may end earlier.
    fn read_base(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let there = self.base.size().saturating_sub(at);
        let there = usize::try_from(there).map_or(buf.len(), |n| n.min(buf.len()));
        let (inside, beyond) = buf.split_at_mut(there);
        beyond.fill(0);
        if inside.is_empty() { Ok(()) } else { self.base.read_at(at, inside) }
    }

    /// Returns the place of a block, made if there is none; what it holds is kept if `keep`.
    fn block(&mut self, number: u64, keep: bool) -> io::Result<Slot> {
        if let Some(slot) = self.data.get(&number) {
            return Ok(*slot);
        }
        let slot = self.store.allocate()?;
        if keep {
            let mut bytes = [0; BLOCK];
            let read = if self.zeros.has(number) {
                Ok(())
            } else {
                self.read_base(number * BLOCK64, &mut bytes)
            };
            if let Err(error) = read.and_then(|()| self.store.write(slot, 0, &bytes)) {
                self.store.release(slot);
                return Err(error);
            }
        }
        self.zeros.remove(number, number + 1);
        self.data.insert(number, slot);
        Ok(slot)
    }

    /// Makes `len` bytes from `at` on zeros. The part of a last block beyond the end counts as
    /// there.
    fn zero(&mut self, at: u64, len: u64) -> io::Result<()> {
        let end = at + len;
        let whole_end = if end == self.size { end.div_ceil(BLOCK64) } else { end / BLOCK64 };
        let whole = (at.div_ceil(BLOCK64), whole_end);
        if whole.0 >= whole.1 {
            return self.zero_part(at, end);
        }
        self.zero_part(at, whole.0 * BLOCK64)?;
        if whole.1 * BLOCK64 < end {
            self.zero_part(whole.1 * BLOCK64, end)?;
        }
        let mut later = self.data.split_off(&whole.0);
        let mut kept = later.split_off(&whole.1);
        self.data.append(&mut kept);
        for slot in later.into_values() {
            self.store.release(slot);
        }
        self.zeros.insert(whole.0, whole.1);
        Ok(())
    }

    /// Makes bytes of one block or two zeros, as data unless they are zeros already.
    fn zero_part(&mut self, at: u64, end: u64) -> io::Result<()> {
        let mut at = at;
        while at < end {
            let number = at / BLOCK64;
            let stop = end.min((number + 1) * BLOCK64);
            if !self.zeros.has(number) {
                let slot = self.block(number, true)?;
                let zeros = [0; BLOCK];
                self.store.write(slot, index(at % BLOCK64), &zeros[..index(stop - at)])?;
            }
            at = stop;
        }
        Ok(())
    }
}

impl<B: Device> Device for Overlay<B> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        within(self.size, at, len64(buf))?;
        let (mut at, mut buf) = (at, buf);
        while !buf.is_empty() {
            let (number, inside) = (at / BLOCK64, at % BLOCK64);
            if let Some(&first) = self.data.get(&number) {
                // Neighbours that are neighbours in the store, too, are read at once.
                let most = index(inside).saturating_add(buf.len()).div_ceil(BLOCK);
                let mut last = (first, 1);
                for (_, &slot) in self
                    .data
                    .range(number + 1..)
                    .take(most - 1)
                    .zip(number + 1..)
                    .take_while(|((at, _), next)| *at == next)
                    .map(|(entry, _)| entry)
                {
                    if !last.0.is_before(slot) {
                        break;
                    }
                    last = (slot, last.1 + 1);
                }
                let len = (last.1 * BLOCK - index(inside)).min(buf.len());
                let (now, later) = buf.split_at_mut(len);
                self.store.read(first, index(inside), now)?;
                at += len64(now);
                buf = later;
                continue;
            }
            let next = self.data.range(number..).next().map_or(u64::MAX, |(at, _)| *at);
            let (end, zeros) = match self.zeros.next(number) {
                Some((start, end)) if start <= number => (end, true),
                Some((start, _)) => (next.min(start), false),
                None => (next, false),
            };
            let len = end.saturating_mul(BLOCK64).saturating_sub(at);
            let len = usize::try_from(len).map_or(buf.len(), |n| n.min(buf.len()));
            let (now, later) = buf.split_at_mut(len);
            if zeros {
                now.fill(0);
            } else {
                self.read_base(at, now)?;
            }
            at += len64(now);
            buf = later;
        }
        Ok(())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        within(self.size, at, len64(bytes))?;
        let (mut at, mut bytes) = (at, bytes);
        while !bytes.is_empty() {
            let inside = index(at % BLOCK64);
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - inside));
            let slot = self.block(at / BLOCK64, now.len() < BLOCK)?;
            self.store.write(slot, inside, now)?;
            at += len64(now);
            bytes = later;
        }
        Ok(())
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        if !self.writable {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        within(self.size, at, len)?;
        if len == 0 { Ok(()) } else { self.zero(at, len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        within(self.size, at, 1)?;
        match self.next_change(at) {
            Some(change) if change.at == at => Ok(Extent { len: change.len, zeros: change.zeros }),
            change => {
                let end = change.map_or(self.size, |change| change.at);
                if at >= self.base.size() {
                    return Ok(Extent { len: end - at, zeros: true });
                }
                let below = self.base.extent(at)?;
                Ok(Extent { len: below.len.min(end - at), ..below })
            }
        }
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("a part of a block is small")
}

/// Runs of blocks that do not touch: first block to the block after the last.
#[derive(Debug, Default)]
struct Runs(BTreeMap<u64, u64>);

impl Runs {
    /// Returns the first run that ends after `block`, from `block` on.
    fn next(&self, block: u64) -> Option<(u64, u64)> {
        let before = self.0.range(..=block).next_back().filter(|(_, end)| **end > block);
        let found = before.or_else(|| self.0.range(block..).next());
        found.map(|(start, end)| ((*start).max(block), *end))
    }

    fn has(&self, block: u64) -> bool {
        self.next(block).is_some_and(|(start, _)| start == block)
    }

    fn insert(&mut self, start: u64, end: u64) {
        let (mut start, mut end) = (start, end);
        while let Some((&at, &stop)) = self.0.range(..=end).next_back() {
            if stop < start {
                break;
            }
            self.0.remove(&at);
            (start, end) = (start.min(at), end.max(stop));
        }
        self.0.insert(start, end);
    }

    fn remove(&mut self, start: u64, end: u64) {
        while let Some((&at, &stop)) = self.0.range(..end).next_back() {
            if stop <= start {
                break;
            }
            self.0.remove(&at);
            if stop > end {
                self.0.insert(end, stop);
            }
            if at < start {
                self.0.insert(at, start);
                break;
            }
        }
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
pub(super) mod tests;
