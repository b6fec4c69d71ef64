// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The allocation table: which cluster follows which. Read in pages, written back to all copies.
//!
//! **Invariant:** whatever the table holds, no chain is followed for longer than there are
//! clusters, and at most 1024 pages (48 MiB) are in memory.

use std::io;

use super::super::FatError;
use super::boot::{Boot, FatKind};
use crate::device::{Device, len64};
use crate::le::u32_at;

/// Bytes of a page: a multiple of the sectors and of 12, 16 and 32 bits, and more than all of
/// FAT12, so that no entry lies in two.
const PAGE: usize = 48 << 10;
/// Pages in memory.
const MOST_PAGES: usize = 1024;
/// The longest table that is read whole to count what is free.
const MOST_COUNTED: u64 = 32 << 20;

/// What an entry says of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nobody has it.
    Free,
    /// Somebody has it, and this one follows.
    Next(u32),
    /// Somebody has it, and it is the last.
    End,
    /// It is marked as bad, or leads to a cluster that does not exist.
    Broken,
}

/// Clusters that lie one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) count: u32,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    changed: bool,
}

/// The table of one file system.
#[derive(Debug)]
pub(super) struct Table {
    kind: FatKind,
    clusters: u32,
    tables: Vec<u64>,
    len: u64,
    pages: Vec<Option<Page>>,
    loaded: usize,
    /// How many clusters are free, as far as is known.
    pub(super) free: Option<u32>,
    /// Where to look for a free one.
    pub(super) next: u32,
}

impl Table {
    pub(super) fn new(boot: &Boot) -> Self {
        // What lies past the last cluster's entry is never asked for.
        let used = ((u64::from(boot.clusters) + 2) * boot.kind.bits()).div_ceil(8);
        let len = used.next_multiple_of(512).min(boot.table_len);
        let count = usize::try_from(len.div_ceil(len64(&[0; PAGE]))).expect("at most 22 thousand");
        Self {
            kind: boot.kind,
            clusters: boot.clusters,
            tables: boot.tables.clone(),
            len,
            pages: (0..count).map(|_| None).collect(),
            loaded: 0,
            free: None,
            next: 2,
        }
    }

    /// Returns the page's number, and where in it the entry begins.
    fn place(&self, cluster: u32) -> (usize, usize) {
        let at = u64::from(cluster) * self.kind.bits() / 8;
        let at = usize::try_from(at).expect("a table has at most 1 GiB");
        (at / PAGE, at % PAGE)
    }

    /// Returns the raw entry, without the four bits of FAT32 that are not its own.
    fn raw(&mut self, device: &mut dyn Device, cluster: u32) -> Result<u32, FatError> {
        let (number, at) = self.place(cluster);
        let kind = self.kind;
        let b = &self.page(device, number)?.bytes[at..];
        Ok(value(kind, cluster, b))
    }

    /// Returns what the entry of a cluster says.
    pub(super) fn get(&mut self, device: &mut dyn Device, cluster: u32) -> Result<Link, FatError> {
        let raw = self.raw(device, cluster)?;
        let end = match self.kind {
            FatKind::Fat12 => 0xff8,
            FatKind::Fat16 => 0xfff8,
            FatKind::Fat32 => 0x0fff_fff8,
        };
        Ok(match raw {
            0 => Link::Free,
            n if n >= end => Link::End,
            n if self.exists(n) => Link::Next(n),
            _ => Link::Broken,
        })
    }

    /// Returns whether there is a cluster of this number.
    pub(super) fn exists(&self, cluster: u32) -> bool {
        cluster >= 2 && cluster - 2 < self.clusters
    }

    /// Returns whether the bit is set that says that the file system was unmounted.
    pub(super) fn clean(&mut self, device: &mut dyn Device) -> Result<bool, FatError> {
        let entry = self.raw(device, 1)?;
        Ok(match self.kind {
            FatKind::Fat12 => true,
            FatKind::Fat16 => entry & 0x8000 != 0,
            FatKind::Fat32 => entry & 0x0800_0000 != 0,
        })
    }

    /// Changes the entry of a cluster.
    pub(super) fn set(
        &mut self,
        device: &mut dyn Device,
        cluster: u32,
        link: Link,
    ) -> Result<(), FatError> {
        let new = match link {
            Link::Free => 0,
            Link::Next(next) => next,
            Link::End | Link::Broken => 0x0fff_ffff,
        };
        let (number, at) = self.place(cluster);
        let kind = self.kind;
        let page = self.page(device, number)?;
        page.changed = true;
        let b = &mut page.bytes[at..];
        let [n0, n1, n2, n3] = new.to_le_bytes();
        match kind {
            FatKind::Fat12 if cluster.is_multiple_of(2) => {
                b[0] = n0;
                b[1] = b[1] & 0xf0 | n1 & 0x0f;
            }
            FatKind::Fat12 => {
                let [s0, s1, ..] = (new << 4).to_le_bytes();
                b[0] = b[0] & 0x0f | s0 & 0xf0;
                b[1] = s1;
            }
            FatKind::Fat16 => b[..2].copy_from_slice(&[n0, n1]),
            FatKind::Fat32 => {
                b[..3].copy_from_slice(&[n0, n1, n2]);
                b[3] = b[3] & 0xf0 | n3 & 0x0f;
            }
        }
        Ok(())
    }

    fn page(&mut self, device: &mut dyn Device, number: usize) -> Result<&mut Page, FatError> {
        if self.pages[number].is_none() {
            if self.loaded >= MOST_PAGES {
                self.flush(device)?;
                self.pages.iter_mut().for_each(|page| *page = None);
                self.loaded = 0;
            }
            let mut bytes = vec![0; self.page_len(number)];
            let io = |source| FatError::Io { doing: "read the allocation table", source };
            device.read_at(self.tables[0] + offset(number), &mut bytes).map_err(io)?;
            // The last entry of FAT12 may begin in the last byte.
            bytes.resize(bytes.len() + 4, 0);
            self.pages[number] = Some(Page { bytes, changed: false });
            self.loaded += 1;
        }
        Ok(self.pages[number].as_mut().expect("put there above"))
    }

    fn page_len(&self, number: usize) -> usize {
        usize::try_from(self.len - offset(number)).map_or(PAGE, |left| left.min(PAGE))
    }

    /// Writes what has changed to all copies.
    pub(super) fn flush(&mut self, device: &mut dyn Device) -> Result<(), FatError> {
        let lens: Vec<usize> = (0..self.pages.len()).map(|number| self.page_len(number)).collect();
        for (number, page) in self.pages.iter_mut().enumerate() {
            let Some(page) = page.as_mut().filter(|page| page.changed) else { continue };
            for table in &self.tables {
                let write = device.write_at(table + offset(number), &page.bytes[..lens[number]]);
                let io = |source| FatError::Io { doing: "write the allocation table", source };
                write.map_err(io)?;
            }
            page.changed = false;
        }
        Ok(())
    }

    /// Counts the free clusters, unless that would take long: then what the file system says of
    /// itself stays.
    pub(super) fn count(&mut self, device: &mut dyn Device) -> Result<(), FatError> {
        if self.len > MOST_COUNTED && self.free.is_some() {
            return Ok(());
        }
        let mut free = 0;
        let mut bytes = vec![0; PAGE + 4];
        let per_page = u32::try_from(PAGE).expect("a constant") * 8
            / u32::try_from(self.kind.bits()).expect("at most 32");
        for number in 0..self.pages.len() {
            let len = self.page_len(number);
            match &self.pages[number] {
                Some(page) => bytes[..page.bytes.len()].copy_from_slice(&page.bytes),
                None => {
                    let io = |source| FatError::Io { doing: "read the allocation table", source };
                    device
                        .read_at(self.tables[0] + offset(number), &mut bytes[..len])
                        .map_err(io)?;
                }
            }
            let start = u32::try_from(number).expect("at most 22 thousand") * per_page;
            let end = (start + per_page).min(self.clusters + 2);
            free += (start.max(2)..end)
                .filter(|&cluster| {
                    let at = u64::from(cluster - start) * self.kind.bits() / 8;
                    let at = usize::try_from(at).expect("within a page");
                    value(self.kind, cluster, &bytes[at..]) == 0
                })
                .fold(0, |n, _| n + 1);
        }
        self.free = Some(free);
        Ok(())
    }

    /// Returns the clusters of a chain, `most` at the most.
    ///
    /// # Errors
    ///
    /// [`FatError::Damaged`] if it leads nowhere, or in a circle.
    pub(super) fn chain(
        &mut self,
        device: &mut dyn Device,
        first: u32,
        most: u64,
    ) -> Result<Vec<Run>, FatError> {
        let broken = |at: u32| FatError::Damaged { what: format!("cluster {at} leads nowhere") };
        let circle =
            || FatError::Damaged { what: format!("the clusters from {first} on form a circle") };
        let mut runs: Vec<Run> = Vec::new();
        if most == 0 {
            return Ok(runs);
        }
        if !self.exists(first) {
            return Err(broken(first));
        }
        let mut at = first;
        // Brent's way to find a circle: a mark that is moved on after 1, 2, 4, 8, … steps.
        let (mut mark, mut steps, mut power, mut len) = (first, 0_u64, 1_u64, 0_u64);
        loop {
            match runs.last_mut() {
                Some(run) if run.first + run.count == at => run.count += 1,
                _ => runs.push(Run { first: at, count: 1 }),
            }
            len += 1;
            match self.get(device, at)? {
                _ if len == most => break,
                Link::End => break,
                Link::Free | Link::Broken => return Err(broken(at)),
                Link::Next(next) => at = next,
            }
            steps += 1;
            if at == mark {
                return Err(circle());
            }
            if steps == power {
                (mark, steps, power) = (at, 0, power * 2);
            }
        }
        // A circle that `most` cut off before it closed twice.
        let mut sorted = runs.clone();
        sorted.sort_unstable();
        let overlap = sorted.windows(2).any(|pair| pair[0].first + pair[0].count > pair[1].first);
        if overlap { Err(circle()) } else { Ok(runs) }
    }

    /// Takes `count` free clusters, chained one to the next, and the first of them to `after`.
    ///
    /// # Errors
    ///
    /// [`FatError::NoClusters`]; nothing is taken then.
    pub(super) fn take(
        &mut self,
        device: &mut dyn Device,
        count: u32,
        after: Option<u32>,
    ) -> Result<Vec<Run>, FatError> {
        if self.free.is_some_and(|free| free < count) {
            return Err(FatError::NoClusters);
        }
        let runs = self.find(device, count)?;
        let mut last = after;
        for cluster in runs.iter().flat_map(|run| run.first..run.first + run.count) {
            if let Some(last) = last {
                self.set(device, last, Link::Next(cluster))?;
            }
            last = Some(cluster);
        }
        if let Some(last) = last {
            self.set(device, last, Link::End)?;
            self.next = last + 1;
        }
        self.free = self.free.map(|free| free.saturating_sub(count));
        Ok(runs)
    }

    fn find(&mut self, device: &mut dyn Device, count: u32) -> Result<Vec<Run>, FatError> {
        let mut runs: Vec<Run> = Vec::new();
        let end = self.clusters + 2;
        let from = if self.exists(self.next) { self.next } else { 2 };
        let mut found = 0;
        for cluster in (from..end).chain(2..from) {
            if found == count {
                break;
            }
            if self.raw(device, cluster)? != 0 {
                continue;
            }
            found += 1;
            match runs.last_mut() {
                Some(run) if run.first + run.count == cluster => run.count += 1,
                _ => runs.push(Run { first: cluster, count: 1 }),
            }
        }
        if found < count { Err(FatError::NoClusters) } else { Ok(runs) }
    }

    /// Gives a chain back.
    ///
    /// # Errors
    ///
    /// [`FatError::Damaged`], as [`Table::chain`]; nothing is given back then.
    pub(super) fn release(&mut self, device: &mut dyn Device, first: u32) -> Result<(), FatError> {
        for run in self.chain(device, first, u64::from(self.clusters))? {
            for cluster in run.first..run.first + run.count {
                self.set(device, cluster, Link::Free)?;
            }
            self.free = self.free.map(|free| free.saturating_add(run.count).min(self.clusters));
            self.next = self.next.min(run.first);
        }
        Ok(())
    }
}

/// Returns the entry that begins at `b`.
fn value(kind: FatKind, cluster: u32, b: &[u8]) -> u32 {
    match kind {
        FatKind::Fat12 if cluster.is_multiple_of(2) => {
            u32::from(b[0]) | (u32::from(b[1]) & 15) << 8
        }
        FatKind::Fat12 => u32::from(b[0]) >> 4 | u32::from(b[1]) << 4,
        FatKind::Fat16 => u32::from(b[0]) | u32::from(b[1]) << 8,
        FatKind::Fat32 => u32::from_le_bytes([b[0], b[1], b[2], b[3]]) & 0x0fff_ffff,
    }
}

/// Returns where a page begins in the table.
fn offset(page: usize) -> u64 {
    u64::try_from(page * PAGE).expect("a table has at most 1 GiB")
}

/// Reads the sector of information: free clusters, where to look for one.
pub(super) fn read_information(device: &mut dyn Device, at: u64) -> io::Result<Option<(u32, u32)>> {
    let mut b = [0; 512];
    device.read_at(at, &mut b)?;
    let known = b.starts_with(b"RRaA") && b[484..488] == *b"rrAa";
    Ok(known.then(|| (u32_at(&b, 488), u32_at(&b, 492))))
}

/// Writes the two numbers of the sector of information, if there is one.
pub(super) fn write_information(
    device: &mut dyn Device,
    at: u64,
    (free, next): (u32, u32),
) -> io::Result<()> {
    if read_information(device, at)?.is_none() {
        return Ok(());
    }
    let mut both = [0; 8];
    both[..4].copy_from_slice(&free.to_le_bytes());
    both[4..].copy_from_slice(&next.to_le_bytes());
    device.write_at(at + 488, &both)
}
