// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The data clusters, L2 tables and L1 table of the new image.

use super::super::check::{COMPRESSED, OFFSET};
use super::super::header::MOST_L1;
use super::super::read::{PARTS, ZERO};
use super::super::{FormatError, Qcow2Info};
use super::counts::Counts;
use super::{NewDisk, Places, WriteError};
use crate::device::{Device, len64};
use crate::format::medium::Medium;

/// Set in an entry whose cluster is used once.
const COPIED: u64 = 1 << 63;

/// The parts of a cluster: all of them there, all of them zeros.
const ALL_THERE: u64 = (1 << PARTS) - 1;
const ALL_ZEROS: u64 = ALL_THERE << PARTS;

/// Bytes that are put together for one write.
const MOST_PENDING: usize = 4 << 20;

/// An entry of an L2 table: the entry and the bitmap of parts, if clusters have parts.
type Entry = (u64, u64);

/// Who writes.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    name: &'a str,
    medium: Medium,
    info: &'a Qcow2Info,
    counts: Counts,
    l1: Vec<u64>,
    /// Clusters to be written in one go: where, and their bytes.
    pending: (u64, Vec<u8>),
    new: Vec<u8>,
    old: Vec<u8>,
}

/// One L2 table.
#[derive(Debug)]
struct Table {
    index: usize,
    entries: Vec<u64>,
    changed: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        name: &'a str,
        medium: Medium,
        info: &'a Qcow2Info,
        counts: Counts,
        l1: &[u64],
    ) -> Self {
        let cluster = index(info.cluster_size.0);
        let (new, old) = (vec![0; cluster], vec![0; cluster]);
        let pending = (0, Vec::new());
        let mut l1 = l1.to_vec();
        l1.resize(l1.len().max(1), 0);
        Self { name, medium, info, counts, l1, pending, new, old }
    }

    fn damaged(&self, what: String) -> WriteError {
        FormatError::Tables { name: self.name.to_owned(), what }.into()
    }

    fn cluster(&self) -> u64 {
        self.info.cluster_size.0
    }

    /// Returns how many clusters one L2 table is for.
    fn per_table(&self) -> u64 {
        self.cluster() / if self.info.extended_l2 { 16 } else { 8 }
    }

    /// Writes all data that changes and the L2 tables. Returns whether anything does.
    pub(super) fn write_disk(&mut self, disk: &mut impl NewDisk) -> Result<bool, WriteError> {
        let span = self.cluster() * self.per_table();
        let (old_size, size) = (self.info.virtual_size.0, disk.size());
        let mut changed = self.fit_l1(old_size, size)?;
        let shrunk_in = (size < old_size && size > 0).then(|| (size - 1) / span);
        let (mut at, mut cut) = (0, shrunk_in.is_none());
        while let Some((start, len, zeros)) = disk.next_change(at) {
            let number = start / span;
            let nothing =
                self.l1[index(number)] & OFFSET == 0 && disk.old().backing_mut().is_none();
            if zeros && nothing {
                // Zeros over nothing, perhaps terabytes of them.
                at = (start + len).min((number + 1) * span);
                continue;
            }
            cut |= shrunk_in == Some(number);
            changed |= self.write_table(disk, number)?;
            at = (number + 1) * span;
        }
        if let (false, Some(number)) = (cut, shrunk_in) {
            changed |= self.write_table(disk, number)?;
        }
        self.flush()?;
        Ok(changed)
    }

    /// Makes the L1 table as long as the disk needs, and empty beyond its end.
    fn fit_l1(&mut self, old_size: u64, size: u64) -> Result<bool, WriteError> {
        let span = self.cluster() * self.per_table();
        let needed = size.div_ceil(span);
        if size == old_size {
            return Ok(false);
        }
        if needed * 8 > MOST_L1 {
            return Err(self.damaged(format!("a disk of {size} bytes needs larger clusters")));
        }
        let kept = index(needed.min(old_size.div_ceil(span)));
        for slot in kept..self.l1.len() {
            if self.l1[slot] & OFFSET != 0 {
                let mut table = self.load(slot)?;
                self.drop_entries(&mut table, 0)?;
                self.store(table)?;
            }
        }
        self.l1.resize(index(needed).max(1), 0);
        Ok(true)
    }

    fn load(&self, slot: usize) -> Result<Table, WriteError> {
        let at = self.l1[slot] & OFFSET;
        let len = index(self.cluster() / 8);
        if at == 0 {
            return Ok(Table { index: slot, entries: vec![0; len], changed: false });
        }
        if !at.is_multiple_of(self.cluster()) {
            return Err(self.damaged(format!("an L2 table is at byte {at}")));
        }
        let mut bytes = vec![0; len * 8];
        self.medium.read(at, &mut bytes)?;
        let entries = bytes.as_chunks::<8>().0.iter().map(|n| u64::from_be_bytes(*n)).collect();
        Ok(Table { index: slot, entries, changed: false })
    }

    fn entry(&self, table: &Table, slot: u64) -> Entry {
        let slot = index(slot);
        if self.info.extended_l2 {
            (table.entries[slot * 2], table.entries[slot * 2 + 1])
        } else {
            (table.entries[slot], 0)
        }
    }

    /// Puts an entry in the place of another, whose clusters are then used once less.
    fn replace(&mut self, table: &mut Table, slot: u64, new: Entry) -> Result<(), WriteError> {
        let (old, _) = self.entry(table, slot);
        self.release(old)?;
        let slot = index(slot);
        if self.info.extended_l2 {
            (table.entries[slot * 2], table.entries[slot * 2 + 1]) = new;
        } else {
            table.entries[slot] = new.0;
        }
        table.changed = true;
        Ok(())
    }

    fn release(&mut self, entry: u64) -> Result<(), WriteError> {
        let bits = self.info.tables.cluster_bits;
        if entry & COMPRESSED != 0 {
            let (at, len) = self.info.tables.compressed(entry);
            for cluster in at >> bits..=(at + len - 1) >> bits {
                self.counts.release(cluster)?;
            }
        } else if entry & OFFSET != 0 {
            let at = entry & OFFSET;
            if !at.is_multiple_of(self.cluster()) {
                return Err(self.damaged(format!("a data cluster is at byte {at}")));
            }
            self.counts.release(at >> bits)?;
        }
        Ok(())
    }

    /// Empties the entries from `first` on.
    fn drop_entries(&mut self, table: &mut Table, first: u64) -> Result<(), WriteError> {
        for slot in first..self.per_table() {
            if self.entry(table, slot) != (0, 0) {
                self.replace(table, slot, (0, 0))?;
            }
        }
        Ok(())
    }

    /// Writes what changes in the part of the disk that the L2 table `number` is for.
    fn write_table(&mut self, disk: &mut impl NewDisk, number: u64) -> Result<bool, WriteError> {
        let (cluster, size) = (self.cluster(), disk.size());
        let span = cluster * self.per_table();
        let (start, end) = (number * span, size.min((number + 1).saturating_mul(span)));
        let mut table = self.load(index(number))?;
        let mut at = start;
        while let Some((from, len, zeros)) = disk.next_change(at).filter(|(from, ..)| *from < end) {
            let first = from / cluster;
            let stop = ((first + 1) * cluster).min(size);
            let all_zeros = zeros && from <= first * cluster && from + len >= stop;
            self.write_cluster(disk, &mut table, first, all_zeros)?;
            at = stop.max(from + 1);
        }
        if size < self.info.virtual_size.0 && end == size {
            // What was beyond the new end must not come back when the disk grows.
            if !size.is_multiple_of(cluster) {
                self.write_cluster(disk, &mut table, size / cluster, false)?;
            }
            self.drop_entries(&mut table, (size - start).div_ceil(cluster))?;
        }
        let changed = table.changed;
        self.store(table)?;
        Ok(changed)
    }

    /// Writes one cluster of the disk, if it changes.
    fn write_cluster(
        &mut self,
        disk: &mut impl NewDisk,
        table: &mut Table,
        number: u64,
        all_zeros: bool,
    ) -> Result<(), WriteError> {
        let cluster = self.cluster();
        let (at, slot) = (number * cluster, number % self.per_table());
        let len = cluster.min(disk.size() - at);
        let old_entry = self.entry(table, slot);
        let zeros = all_zeros || {
            let (now, beyond) = self.new.split_at_mut(index(len));
            disk.read(at, now)?;
            beyond.fill(0);
            let there = cluster.min(self.info.virtual_size.0.saturating_sub(at));
            let (then, beyond) = self.old.split_at_mut(index(there));
            if there > 0 {
                disk.old().read_at(at, then)?;
            }
            beyond.fill(0);
            // What is beyond the old end of the disk is anything in the file.
            let cut = there < cluster && disk.size() != self.info.virtual_size.0;
            if !cut && self.new == self.old {
                return Ok(());
            }
            self.new.iter().all(|byte| *byte == 0)
        };
        if zeros {
            let empty = if below_is_zeros(disk, at, len)? {
                Some((0, 0))
            } else if self.info.extended_l2 {
                Some((0, ALL_ZEROS))
            } else {
                (self.info.version >= 3).then_some((ZERO, 0))
            };
            if let Some(empty) = empty {
                return if empty == old_entry { Ok(()) } else { self.replace(table, slot, empty) };
            }
            self.new.fill(0);
        }
        let place = self.counts.allocate(1)?;
        let bytes = std::mem::take(&mut self.new);
        let written = self.write_later(place, &bytes);
        self.new = bytes;
        written?;
        let parts = if self.info.extended_l2 { ALL_THERE } else { 0 };
        self.replace(table, slot, (place << self.info.tables.cluster_bits | COPIED, parts))
    }

    /// Writes an L2 table to a new place, if it changed, and notes that in the L1 table.
    fn store(&mut self, table: Table) -> Result<(), WriteError> {
        if !table.changed {
            return Ok(());
        }
        let bits = self.info.tables.cluster_bits;
        let old = self.l1[table.index] & OFFSET;
        if old != 0 {
            self.counts.release(old >> bits)?;
        }
        self.l1[table.index] = 0;
        if table.entries.iter().any(|entry| *entry != 0) {
            let place = self.counts.allocate(1)?;
            let bytes: Vec<u8> = table.entries.iter().flat_map(|n| n.to_be_bytes()).collect();
            self.write_later(place, &bytes)?;
            self.l1[table.index] = place << bits | COPIED;
        }
        Ok(())
    }

    /// Writes a cluster now or together with those after it.
    fn write_later(&mut self, place: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let at = place << self.info.tables.cluster_bits;
        let (start, pending) = &mut self.pending;
        if *start + len64(pending) != at || pending.len() >= MOST_PENDING {
            self.flush()?;
            self.pending.0 = at;
        }
        self.pending.1.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let (at, bytes) = &mut self.pending;
        if !bytes.is_empty() {
            self.medium.write(*at, bytes)?;
            bytes.clear();
        }
        Ok(())
    }

    /// Writes the L1 table and the reference counts.
    pub(super) fn finish(&mut self) -> Result<Places, WriteError> {
        let (bits, tables) = (self.info.tables.cluster_bits, self.info.tables);
        self.flush()?;
        if tables.l1_entries > 0 {
            let first = tables.l1_at >> bits;
            for cluster in first..first + (tables.l1_entries * 8).div_ceil(1 << bits) {
                self.counts.release(cluster)?;
            }
        }
        let mut bytes: Vec<u8> = self.l1.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(index(1 << bits)), 0);
        let l1 = self.counts.allocate(len64(&bytes) >> bits)?;
        self.medium.write(l1 << bits, &bytes)?;
        let (refcount_at, refcount_clusters) = self.counts.store()?;
        let l1_entries = u64::try_from(self.l1.len()).expect("usize has at most 64 bits");
        Ok(Places { l1_at: l1 << bits, l1_entries, refcount_at, refcount_clusters })
    }

    /// Returns the clusters that were taken for the new image: first and number.
    pub(super) fn taken(&self) -> &[(u64, u64)] {
        self.counts.taken()
    }

    /// Returns the clusters that only the old image used: first and number.
    pub(super) fn unused(&self) -> &[(u64, u64)] {
        self.counts.freed()
    }
}

/// Returns whether the disk's bytes are zeros where the file itself has nothing.
fn below_is_zeros(disk: &mut impl NewDisk, at: u64, len: u64) -> Result<bool, WriteError> {
    let Some(backing) = disk.old().backing_mut() else {
        return Ok(true);
    };
    let end = (at + len).min(backing.size());
    let mut at = at;
    while at < end {
        let extent = backing.extent(at)?;
        if !extent.zeros {
            return Ok(false);
        }
        at = at.saturating_add(extent.len);
    }
    Ok(true)
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("tables and clusters are some MiB at most")
}
