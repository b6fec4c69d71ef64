// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A new qcow2 image that is written to in any order: a disk that is made in one pass.
//!
//! Clusters are taken from the file's end as they are first written to; tables are in memory (8
//! bytes for 64 KiB of data) until [`NewQcow2::finish`]. The same writes give the same bytes.
//!
//! Source: QEMU, docs/interop/qcow2.rst.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::device::{Device, len64, within};

/// Bits of an offset within a cluster: 64 KiB, what QEMU has.
pub(super) const BITS: u32 = 16;
pub(super) const CLUSTER: u64 = 1 << BITS;
/// Entries of an L2 table, and counts of a block of counts.
const PER_TABLE: u64 = CLUSTER / 8;
const PER_BLOCK: u64 = CLUSTER / 2;
/// The cluster is used once: it may be written to in place.
const COPIED: u64 = 1 << 63;
/// The file is made longer by this much at a time.
const STEP: u64 = 64 << 20;
/// The longest table of the first level that QEMU opens: 32 MiB.
pub(super) const MOST_L1: u64 = 32 << 20;

/// A new image. Clones are the same image.
#[derive(Clone, Debug)]
pub struct NewQcow2 {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    file: File,
    size: u64,
    /// L2 tables by number: where each cluster is in the file, 0 for nowhere.
    tables: BTreeMap<u64, Vec<u64>>,
    /// The next free cluster of the file.
    next: u64,
    /// How long the file is now.
    len: u64,
}

impl NewQcow2 {
    /// Begins an image of a disk of `size` bytes in `file`, which is empty.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the disk is larger than 2 PiB.
    pub fn new(file: File, size: u64) -> io::Result<Self> {
        if l1_entries(size) * 8 > MOST_L1 {
            let text = "the disk is too large for a qcow2 of 64 KiB clusters";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // The first cluster is the header's.
        let state = State { file, size, tables: BTreeMap::new(), next: 1, len: 0 };
        Ok(Self { state: Arc::new(Mutex::new(state)) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes tables and header: the file is an image then. Nothing may be written afterwards.
    ///
    /// # Errors
    ///
    /// What writing says.
    pub fn finish(&self) -> io::Result<()> {
        self.lock().finish()
    }
}

pub(super) fn l1_entries(size: u64) -> u64 {
    size.div_ceil(CLUSTER).div_ceil(PER_TABLE).max(1)
}

pub(super) fn index(n: u64) -> usize {
    usize::try_from(n).expect("an index of a table")
}

fn big_end(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(u64::to_be_bytes).collect()
}

impl State {
    /// Returns where the disk's cluster `number` is in the file; 0 for nowhere.
    fn place(&self, number: u64) -> u64 {
        self.tables.get(&(number / PER_TABLE)).map_or(0, |table| table[index(number % PER_TABLE)])
    }

    /// Takes the next cluster of the file for the disk's cluster `number`.
    fn take(&mut self, number: u64) -> io::Result<u64> {
        let at = self.next << BITS;
        self.next += 1;
        if at + CLUSTER > self.len {
            self.len = (at + CLUSTER).next_multiple_of(STEP);
            self.file.set_len(self.len)?;
        }
        let table =
            self.tables.entry(number / PER_TABLE).or_insert_with(|| vec![0; index(PER_TABLE)]);
        table[index(number % PER_TABLE)] = at;
        Ok(at)
    }

    fn write(&mut self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (from, mut run) = self.first_run(at, bytes)?;
            // Neighbours in the file are written together.
            while run < bytes.len() {
                let (next, more) = self.first_run(at + len64(&bytes[..run]), &bytes[run..])?;
                if from.is_none() != next.is_none()
                    || next.is_some_and(|next| from.map(|f| f + len64(&bytes[..run])) != Some(next))
                {
                    break;
                }
                run += more;
            }
            let (now, rest) = bytes.split_at(run);
            if let Some(from) = from {
                self.file.write_all_at(now, from)?;
            }
            at += len64(now);
            bytes = rest;
        }
        Ok(())
    }

    /// Returns where the bytes of the first cluster go, and how many they are; nowhere if they are
    /// zeros and nothing is there. A cluster is taken if need be.
    fn first_run(&mut self, at: u64, bytes: &[u8]) -> io::Result<(Option<u64>, usize)> {
        let (number, within) = (at / CLUSTER, at % CLUSTER);
        let len = index(CLUSTER - within).min(bytes.len());
        let place = match self.place(number) {
            0 if bytes[..len].iter().all(|&b| b == 0) => return Ok((None, len)),
            0 => self.take(number)?,
            place => place,
        };
        Ok((Some(place + within), len))
    }

    fn read(&self, mut at: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            let (number, within) = (at / CLUSTER, at % CLUSTER);
            let len = index(CLUSTER - within).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            match self.place(number) {
                0 => now.fill(0),
                place => self.file.read_exact_at(now, place + within)?,
            }
            at += len64(now);
            rest = later;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let entries = l1_entries(self.size);
        let mut l1 = vec![0; index(entries)];
        let tables = std::mem::take(&mut self.tables);
        for (number, table) in tables {
            let at = self.next << BITS;
            self.next += 1;
            let marked = table.into_iter().map(|at| if at == 0 { 0 } else { at | COPIED });
            self.file.write_all_at(&big_end(marked), at)?;
            l1[index(number)] = at | COPIED;
        }
        let l1_at = self.next << BITS;
        self.next += (entries * 8).div_ceil(CLUSTER);
        self.file.write_all_at(&big_end(l1), l1_at)?;
        // Blocks of counts and their table count themselves.
        let (mut blocks, mut table) = (0, 0);
        loop {
            let all = (self.next + blocks + table).div_ceil(PER_BLOCK);
            let sizes = (all, (all * 8).div_ceil(CLUSTER));
            if sizes == (blocks, table) {
                break;
            }
            (blocks, table) = sizes;
        }
        let blocks_at = self.next << BITS;
        let table_at = blocks_at + (blocks << BITS);
        let used = self.next + blocks + table;
        for block in 0..blocks {
            let first = block * PER_BLOCK;
            let counts = (0..PER_BLOCK).map(|n| u16::from(first + n < used));
            let bytes: Vec<u8> = counts.flat_map(u16::to_be_bytes).collect();
            self.file.write_all_at(&bytes, blocks_at + (block << BITS))?;
        }
        let list = big_end((0..blocks).map(|block| blocks_at + (block << BITS)));
        self.file.write_all_at(&list, table_at)?;
        self.file.set_len(used << BITS)?;
        self.file.write_all_at(&self.header((l1_at, entries), (table_at, table)), 0)
    }

    fn header(&self, (l1_at, entries): (u64, u64), (table_at, clusters): (u64, u64)) -> Vec<u8> {
        let short = |n: u64| u32::try_from(n).expect("tables are some MiB at most").to_be_bytes();
        let mut header = b"QFI\xfb".to_vec();
        header.extend(3_u32.to_be_bytes());
        // No backing file.
        header.extend([0; 12]);
        header.extend(BITS.to_be_bytes());
        header.extend(self.size.to_be_bytes());
        // Not encrypted.
        header.extend([0; 4]);
        header.extend(short(entries));
        header.extend(l1_at.to_be_bytes());
        header.extend(table_at.to_be_bytes());
        header.extend(short(clusters));
        // No snapshots; no features.
        header.extend([0; 12 + 24]);
        // Counts of 2^4 bits; the length of this header; zlib; the end of the extensions.
        header.extend(4_u32.to_be_bytes());
        header.extend(112_u32.to_be_bytes());
        header.extend([0; 8 + 8]);
        header
    }
}

impl Device for NewQcow2 {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        within(state.size, at, len64(buf))?;
        state.read(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        within(state.size, at, len64(bytes))?;
        state.write(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        within(state.size, at, len)?;
        let zeros = vec![0; index(CLUSTER)];
        let (mut at, end) = (at, at + len);
        while at < end {
            let part = (CLUSTER - at % CLUSTER).min(end - at);
            state.write(at, &zeros[..index(part)])?;
            at += part;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        // It is no image before it is finished, and thrown away if it is not.
        Ok(())
    }

    fn size(&self) -> u64 {
        self.lock().size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_of_writes_reads_back() {
        const SIZE: usize = 3 << 20;
        let mut disk = NewQcow2::new(tempfile::tempfile().unwrap(), 3 << 20).unwrap();
        let mut model = vec![0_u8; SIZE];
        let mut random = 99_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(random >> 33).unwrap() % below
        };
        for round in 0..300 {
            let at = next(SIZE);
            let len = next(200_000).min(SIZE - at);
            let byte = u8::try_from(next(4)).unwrap();
            disk.write_at(at as u64, &vec![byte; len]).unwrap();
            model[at..at + len].fill(byte);
            if round % 10 == 0 {
                let (at, len) = (next(SIZE / 2), next(100_000));
                disk.discard(at as u64, len as u64).unwrap();
                model[at..at + len].fill(0);
            }
        }
        let mut got = vec![0; SIZE];
        disk.read_at(0, &mut got).unwrap();
        assert!(got == model);
        assert!(disk.write_at(SIZE as u64, &[1]).is_err());
    }

    #[test]
    fn zeros_take_no_room() {
        let file = tempfile::tempfile().unwrap();
        let mut disk = NewQcow2::new(file.try_clone().unwrap(), 1 << 40).unwrap();
        disk.write_at(1 << 30, &vec![0; 1 << 20]).unwrap();
        disk.write_at(1 << 39, b"x").unwrap();
        disk.finish().unwrap();
        // Header, data, L2, L1, counts, their table.
        assert_eq!(file.metadata().unwrap().len(), 6 << 16);
        assert!(NewQcow2::new(file, 1 << 60).is_err());
    }
}
