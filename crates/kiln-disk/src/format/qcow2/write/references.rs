// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What uses which cluster, by the tables themselves: what the reference counts should be.

use super::super::check::{COMPRESSED, OFFSET};
use super::super::{FormatError, Qcow2Info};
use super::WriteError;
use super::snapshots::Snapshots;
use crate::format::medium::Medium;

/// The most bytes of L2 tables that are walked. With clusters of 64 KiB that is 2 TiB of data.
const MOST_L2: u64 = 256 << 20;

/// The most entries of L1 tables, of all snapshots together.
const MOST_L1: u64 = 8 << 20;

/// The most runs that are kept.
const MOST_RUNS: usize = 4 << 20;

/// Clusters in a row that are used equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) weight: u64,
}

impl Run {
    /// Returns the last cluster.
    pub(super) fn last(&self) -> u64 {
        self.first + self.count - 1
    }
}

/// Who walks the tables.
#[derive(Debug)]
struct Walk<'a> {
    name: &'a str,
    medium: &'a Medium,
    info: &'a Qcow2Info,
    runs: Vec<Run>,
}

/// Returns what is used and how often: sorted, not overlapping. Without the reference counts' own
/// table and blocks. `None` if there is too much to look at.
pub(super) fn references(
    name: &str,
    medium: &Medium,
    info: &Qcow2Info,
    l1: &[u64],
    snapshots: &Snapshots,
) -> Result<Option<Vec<Run>>, WriteError> {
    let mut walk = Walk { name, medium, info, runs: Vec::new() };
    let cluster = info.tables.cluster_size();
    walk.bytes(0, cluster, 1);
    walk.bytes(info.tables.l1_at, info.tables.l1_entries * 8, 1);
    walk.bytes(info.tables.snapshots_at, snapshots.len, 1);
    let entries: u64 = snapshots.list.iter().map(|snapshot| snapshot.l1_entries).sum();
    if entries.saturating_add(info.tables.l1_entries) > MOST_L1 {
        return Ok(None);
    }
    let mut tables: Vec<u64> = l1.iter().map(|entry| entry & OFFSET).collect();
    for snapshot in &snapshots.list {
        walk.bytes(snapshot.l1_at, snapshot.l1_entries * 8, 1);
        let entries = walk.numbers(snapshot.l1_at, snapshot.l1_entries)?;
        tables.extend(entries.iter().map(|entry| entry & OFFSET));
    }
    tables.retain(|at| *at != 0);
    tables.sort_unstable();
    let mut read = 0;
    for same in tables.chunk_by(|a, b| a == b) {
        read += cluster;
        if read > MOST_L2 || walk.runs.len() > MOST_RUNS {
            return Ok(None);
        }
        let weight = u64::try_from(same.len()).unwrap_or(u64::MAX);
        walk.table(same[0], weight)?;
    }
    Ok(Some(sum(walk.runs)))
}

impl Walk<'_> {
    fn damaged(&self, what: String) -> WriteError {
        FormatError::Tables { name: self.name.to_owned(), what }.into()
    }

    /// Adds the clusters that `len` bytes from `at` on are in.
    fn bytes(&mut self, at: u64, len: u64, weight: u64) {
        if len == 0 {
            return;
        }
        let bits = self.info.tables.cluster_bits;
        let (first, last) = (at >> bits, (at + len - 1) >> bits);
        let count = last - first + 1;
        match self.runs.last_mut() {
            Some(run) if run.weight == weight && run.first + run.count == first => {
                run.count += count;
            }
            _ => self.runs.push(Run { first, count, weight }),
        }
    }

    fn numbers(&self, at: u64, count: u64) -> Result<Vec<u64>, WriteError> {
        let len = usize::try_from(count * 8).expect("a table has 64 MiB at most");
        // Memory is asked for only when the file has that much.
        if at.saturating_add(count * 8) > self.medium.len()? {
            return Err(self.damaged(format!("a table at byte {at} is beyond the file's end")));
        }
        let mut bytes = vec![0; len];
        self.medium.read(at, &mut bytes)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|n| u64::from_be_bytes(*n)).collect())
    }

    /// Adds an L2 table and all that it refers to.
    fn table(&mut self, at: u64, weight: u64) -> Result<(), WriteError> {
        let cluster = self.info.tables.cluster_size();
        if !at.is_multiple_of(cluster) {
            return Err(self.damaged(format!("an L2 table is at byte {at}")));
        }
        self.bytes(at, cluster, weight);
        let width = if self.info.extended_l2 { 2 } else { 1 };
        for entry in self.numbers(at, cluster / 8)?.into_iter().step_by(width) {
            if entry & COMPRESSED != 0 {
                let (at, len) = self.info.tables.compressed(entry);
                self.bytes(at, len, weight);
            } else if entry & OFFSET != 0 {
                let at = entry & OFFSET;
                if !at.is_multiple_of(cluster) {
                    return Err(self.damaged(format!("a data cluster is at byte {at}")));
                }
                self.bytes(at, cluster, weight);
            }
        }
        Ok(())
    }
}

/// Returns the same use in runs that do not overlap, in order.
fn sum(runs: Vec<Run>) -> Vec<Run> {
    let ends = runs.iter().map(|run| (run.first + run.count, 0, run.weight));
    let starts = runs.iter().map(|run| (run.first, run.weight, 0));
    let mut edges: Vec<(u64, u64, u64)> = starts.chain(ends).collect();
    drop(runs);
    edges.sort_unstable();
    let mut out: Vec<Run> = Vec::new();
    let (mut since, mut weight) = (0, 0);
    for (at, more, less) in edges {
        if at > since && weight > 0 {
            out.push(Run { first: since, count: at - since, weight });
        }
        since = at;
        // At one place ends and starts come in any order.
        weight = weight.wrapping_add(more).wrapping_sub(less);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_use_is_added_up() {
        let run = |first, count, weight| Run { first, count, weight };
        assert_eq!(
            sum(vec![run(4, 4, 1), run(0, 1, 1), run(6, 4, 2), run(6, 1, 1), run(10, 1, 1)]),
            [run(0, 1, 1), run(4, 2, 1), run(6, 1, 4), run(7, 1, 3), run(8, 2, 2), run(10, 1, 1)]
        );
    }
}
