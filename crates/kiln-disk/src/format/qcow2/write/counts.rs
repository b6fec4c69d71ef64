// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reference counts: how often each cluster of the file is used, and where one is free.
//!
//! Only the blocks of counts that change are kept. **Invariant:** a cluster that the old tables
//! use, or that was given out before, is never given out.

use std::collections::BTreeMap;
use std::io;

use super::super::header::MOST_REFTABLE;
use super::super::{FormatError, Tables};
use super::WriteError;
use super::references::Run;
use crate::format::medium::Medium;

/// The most bytes of blocks that are made when all counts are made anew.
const MOST_BLOCKS: u64 = 256 << 20;

/// The counts.
#[derive(Debug)]
pub(super) struct Counts {
    name: String,
    medium: Medium,
    tables: Tables,
    /// Where the blocks are in the file; 0 for one that is not there.
    places: Vec<u64>,
    /// The blocks that change.
    blocks: BTreeMap<u64, Block>,
    /// A block that was looked into last, unchanged.
    last: Option<(u64, Vec<u8>)>,
    /// The number of clusters of the file before the change.
    in_file: u64,
    /// Whether free clusters within the file are used.
    reuse: bool,
    /// Where to look for a free cluster first.
    next: u64,
    /// Whether the table and blocks in the file are themselves counted.
    counted: bool,
    /// Clusters given out, and clusters no longer used: first and number.
    taken: Vec<(u64, u64)>,
    freed: Vec<(u64, u64)>,
}

/// The counts of some clusters, as the file has them and as they shall be.
#[derive(Debug)]
struct Block {
    old: Vec<u8>,
    new: Vec<u8>,
    place: Option<u64>,
}

impl Counts {
    /// Returns the counts that the file has. Free clusters are looked for beyond its end.
    pub(super) fn read(name: &str, medium: Medium, tables: Tables) -> Result<Self, WriteError> {
        let len = usize::try_from(tables.refcount_entries).expect("8 MiB at most");
        let mut bytes = vec![0; len * 8];
        medium.read(tables.refcount_at, &mut bytes)?;
        let places = bytes.as_chunks::<8>().0.iter();
        let places = places.map(|place| u64::from_be_bytes(*place) & !511).collect();
        let in_file = medium.len()?.div_ceil(tables.cluster_size());
        Ok(Self {
            name: name.to_owned(),
            medium,
            tables,
            places,
            blocks: BTreeMap::new(),
            last: None,
            in_file,
            reuse: false,
            next: in_file,
            counted: true,
            taken: Vec::new(),
            freed: Vec::new(),
        })
    }

    /// Takes the counts to be what `runs` say, whatever the file says. `runs` are sorted, do not
    /// overlap and do not have the counts' own clusters.
    pub(super) fn rebuild(&mut self, runs: &[Run]) -> Result<(), WriteError> {
        if runs.last().is_some_and(|run| run.last() >= self.in_file) {
            return Err(self.damaged("a table leads beyond the file's end"));
        }
        let own = self.own_clusters();
        let per_block = self.per_block();
        let blocks = own.iter().map(|n| n / per_block);
        let mut blocks: Vec<u64> = blocks
            .chain(runs.iter().flat_map(|run| run.first / per_block..=run.last() / per_block))
            .collect();
        blocks.sort_unstable();
        blocks.dedup();
        let bytes = u64::try_from(blocks.len()).unwrap_or(u64::MAX);
        if bytes.saturating_mul(self.tables.cluster_size()) > MOST_BLOCKS {
            return Err(self.damaged("its reference counts are too many to be made anew here"));
        }
        self.places.fill(0);
        self.counted = false;
        for run in runs {
            for cluster in run.first..=run.last() {
                self.set(cluster, run.weight)?;
            }
        }
        for block in self.blocks.values_mut() {
            block.old.copy_from_slice(&block.new);
        }
        // The old counts stay where they are until the new ones are in use.
        for cluster in own {
            let (number, within) = (cluster / per_block, cluster % per_block);
            let order = self.tables.refcount_order;
            let block = self.block(number)?;
            if get(&block.new, order, within) == 0 {
                put(&mut block.old, order, within, 1);
                self.freed.push((cluster, 1));
            }
        }
        Ok(())
    }

    /// Returns the clusters of the table and blocks in the file that are within it.
    fn own_clusters(&self) -> Vec<u64> {
        let bits = self.tables.cluster_bits;
        let first = self.tables.refcount_at >> bits;
        let table = first..first + ((self.tables.refcount_entries * 8) >> bits);
        let blocks = self.places.iter().filter(|place| **place != 0).map(|place| place >> bits);
        let mut out: Vec<u64> = table.chain(blocks).filter(|n| *n < self.in_file).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Says that the counts are known to be right, so that free clusters can be used again.
    pub(super) fn reuse(&mut self) {
        self.reuse = true;
        self.next = 1;
    }

    fn per_block(&self) -> u64 {
        (self.tables.cluster_size() * 8) >> self.tables.refcount_order
    }

    fn damaged(&self, what: &str) -> WriteError {
        let (name, what) = (self.name.clone(), what.to_owned());
        FormatError::Tables { name, what }.into()
    }

    /// Returns a block as it is in the file, or `None` if all its counts are 0.
    fn stored(&mut self, number: u64) -> Result<Option<&[u8]>, WriteError> {
        let place = usize::try_from(number).ok().and_then(|n| self.places.get(n));
        let place = place.copied().unwrap_or(0);
        if place == 0 {
            return Ok(None);
        }
        if self.last.as_ref().is_none_or(|(there, _)| *there != number) {
            let cluster = self.tables.cluster_size();
            if !place.is_multiple_of(cluster) {
                return Err(self.damaged(&format!("a refcount block is at byte {place}")));
            }
            let mut bytes = vec![0; index(cluster)];
            self.medium.read(place, &mut bytes)?;
            self.last = Some((number, bytes));
        }
        Ok(self.last.as_ref().map(|(_, bytes)| bytes.as_slice()))
    }

    /// Returns a block that is going to change.
    fn block(&mut self, number: u64) -> Result<&mut Block, WriteError> {
        if !self.blocks.contains_key(&number) {
            let len = index(self.tables.cluster_size());
            let old = self.stored(number)?.map_or_else(|| vec![0; len], <[u8]>::to_vec);
            self.blocks.insert(number, Block { new: old.clone(), old, place: None });
        }
        Ok(self.blocks.get_mut(&number).expect("it was put in above"))
    }

    /// Returns a cluster's count: the larger of that in the file and that to be.
    fn most(&mut self, cluster: u64) -> Result<u64, WriteError> {
        let (number, within) = (cluster / self.per_block(), cluster % self.per_block());
        let order = self.tables.refcount_order;
        if let Some(block) = self.blocks.get(&number) {
            return Ok(get(&block.old, order, within).max(get(&block.new, order, within)));
        }
        Ok(self.stored(number)?.map_or(0, |bytes| get(bytes, order, within)))
    }

    /// Returns a cluster's count as it is to be.
    pub(super) fn count(&mut self, cluster: u64) -> Result<u64, WriteError> {
        let (number, within) = (cluster / self.per_block(), cluster % self.per_block());
        let order = self.tables.refcount_order;
        if let Some(block) = self.blocks.get(&number) {
            return Ok(get(&block.new, order, within));
        }
        Ok(self.stored(number)?.map_or(0, |bytes| get(bytes, order, within)))
    }

    fn set(&mut self, cluster: u64, count: u64) -> Result<(), WriteError> {
        let (number, within) = (cluster / self.per_block(), cluster % self.per_block());
        let order = self.tables.refcount_order;
        if order < 6 && count >> (1 << order) != 0 {
            return Err(self.damaged(&format!("a cluster is used {count} times")));
        }
        put(&mut self.block(number)?.new, order, within, count);
        Ok(())
    }

    /// Returns the first of `count` free clusters in a row, now used once each.
    pub(super) fn allocate(&mut self, count: u64) -> Result<u64, WriteError> {
        let single = count == 1;
        let start = match (single, self.reuse) {
            (true, _) => self.next,
            (false, true) => 1,
            (false, false) => self.in_file,
        };
        let most = self.per_block().saturating_mul(MOST_REFTABLE / 8);
        let (mut cluster, mut run) = (start, 0);
        while run < count {
            if cluster >= most {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
            }
            run = if self.most(cluster)? == 0 { run + 1 } else { 0 };
            cluster += 1;
        }
        let first = cluster - count;
        for cluster in first..cluster {
            self.set(cluster, 1)?;
        }
        if single {
            self.next = cluster;
        }
        join(&mut self.taken, first, count);
        Ok(first)
    }

    /// Says that a cluster is used once less.
    pub(super) fn release(&mut self, cluster: u64) -> Result<(), WriteError> {
        let count = self.count(cluster)?;
        let Some(left) = count.checked_sub(1) else {
            let at = cluster << self.tables.cluster_bits;
            return Err(self.damaged(&format!("the cluster at byte {at} counts as free")));
        };
        self.set(cluster, left)?;
        if left == 0 {
            join(&mut self.freed, cluster, 1);
        }
        Ok(())
    }

    /// Checks that no cluster is used more often than its count says.
    pub(super) fn verify(&mut self, runs: &[Run]) -> Result<(), WriteError> {
        for cluster in self.own_clusters() {
            if self.count(cluster)? == 0 {
                return Err(self.damaged("the reference counts' own clusters count as free"));
            }
        }
        for run in runs {
            for cluster in run.first..=run.last() {
                let count = self.count(cluster)?;
                if count < run.weight {
                    let at = cluster << self.tables.cluster_bits;
                    let text = format!(
                        "the cluster at byte {at} is used {} times and counted {count} times",
                        run.weight
                    );
                    return Err(self.damaged(&text));
                }
            }
        }
        Ok(())
    }

    /// Writes all changed blocks and a table of them to free clusters. Returns where the table
    /// is and how many clusters it has.
    pub(super) fn store(&mut self) -> Result<(u64, u64), WriteError> {
        let bits = self.tables.cluster_bits;
        let old_len = (self.tables.refcount_entries * 8) >> bits;
        if self.counted {
            let first = self.tables.refcount_at >> bits;
            for cluster in first..first + old_len {
                self.release(cluster)?;
            }
        }
        let mut table: Option<(u64, u64)> = None;
        loop {
            // A place for a block may be counted in another block, which then changes, too.
            let homeless = self.blocks.iter().filter(|(_, block)| block.place.is_none());
            let homeless: Vec<u64> = homeless.map(|(number, _)| *number).collect();
            for number in &homeless {
                let old = self.places.get(index(*number)).copied().unwrap_or(0);
                if old != 0 && self.counted {
                    self.release(old >> bits)?;
                }
                let place = self.allocate(1)?;
                self.block(*number)?.place = Some(place);
            }
            let last = self.blocks.last_key_value().map_or(0, |(number, _)| *number);
            let needed = ((last + 1) * 8).div_ceil(1 << bits).max(old_len);
            let fits = table.is_some_and(|(_, len)| len >= needed);
            if homeless.is_empty() && fits {
                break;
            }
            if !fits {
                if let Some((first, len)) = table {
                    for cluster in first..first + len {
                        self.set(cluster, 0)?;
                    }
                }
                table = Some((self.allocate(needed)?, needed));
            }
        }
        let (first, len) = table.expect("the loop ends with a table");
        self.write_blocks(first, len)?;
        Ok((first << bits, len))
    }

    fn write_blocks(&mut self, first: u64, len: u64) -> Result<(), WriteError> {
        let bits = self.tables.cluster_bits;
        self.places.resize(index(len << bits) / 8, 0);
        for (number, block) in &self.blocks {
            let place = block.place.expect("each block has a place by now") << bits;
            self.medium.write(place, &block.new)?;
            self.places[index(*number)] = place;
        }
        let bytes: Vec<u8> = self.places.iter().flat_map(|place| place.to_be_bytes()).collect();
        Ok(self.medium.write(first << bits, &bytes)?)
    }

    /// Returns the clusters that were given out: first and number.
    pub(super) fn taken(&self) -> &[(u64, u64)] {
        &self.taken
    }

    /// Returns the clusters that the old tables used and the new ones do not: first and number.
    pub(super) fn freed(&self) -> &[(u64, u64)] {
        &self.freed
    }
}

/// Adds clusters to the last run if they follow it, as a run of their own if not.
fn join(runs: &mut Vec<(u64, u64)>, first: u64, count: u64) {
    match runs.last_mut() {
        Some((start, len)) if *start + *len == first => *len += count,
        _ => runs.push((first, count)),
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("tables and clusters are some MiB at most")
}

/// Returns the count number `n` of a block. Counts of less than a byte begin at its low end.
fn get(block: &[u8], order: u32, n: u64) -> u64 {
    let n = index(n);
    if order < 3 {
        let (per_byte, width) = (8_usize >> order, 1_usize << order);
        let byte = block[n / per_byte] >> (n % per_byte * width);
        return u64::from(byte) & ((1 << width) - 1);
    }
    let len = 1 << (order - 3);
    block[n * len..(n + 1) * len].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Sets the count number `n` of a block, which has room for it.
fn put(block: &mut [u8], order: u32, n: u64, count: u64) {
    let n = index(n);
    let bytes = count.to_be_bytes();
    if order < 3 {
        let (per_byte, width) = (8_usize >> order, 1_usize << order);
        let (shift, mask) = (n % per_byte * width, u8::MAX >> (8 - width));
        let byte = &mut block[n / per_byte];
        *byte = *byte & !(mask << shift) | (bytes[7] & mask) << shift;
        return;
    }
    let len = 1 << (order - 3);
    block[n * len..(n + 1) * len].copy_from_slice(&bytes[8 - len..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width_are_kept() {
        for order in 0..=6_u32 {
            let most = if order == 6 { u64::MAX } else { (1 << (1 << order)) - 1 };
            let mut block = vec![0; 512];
            for n in 0..64 {
                put(&mut block, order, n, most.wrapping_mul(n + 1) & most);
            }
            put(&mut block, order, 7, 1);
            for n in (0..64).filter(|n| *n != 7) {
                assert_eq!(get(&block, order, n), most.wrapping_mul(n + 1) & most, "{order} {n}");
            }
            assert_eq!(get(&block, order, 7), 1);
        }
    }
}
