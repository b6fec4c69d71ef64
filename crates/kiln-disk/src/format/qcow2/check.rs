// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether all that a qcow2 file refers to is in it.

use std::io::{Read, Seek};

use super::super::FormatError;
use super::super::source::Source;
use super::{Qcow2Info, Tables};

/// The offset in an L1 or L2 entry: bits 9 to 55.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// Set in an L2 entry of a compressed cluster.
pub(super) const COMPRESSED: u64 = 1 << 62;

impl Tables {
    pub(super) fn cluster_size(self) -> u64 {
        1 << self.cluster_bits
    }

    /// Returns where a compressed cluster begins and how many bytes from there on it may take:
    /// "Compressed Clusters Descriptor".
    pub(super) fn compressed(self, entry: u64) -> (u64, u64) {
        let offset_bits = 62 - (self.cluster_bits - 8);
        let at = entry & ((1 << offset_bits) - 1);
        let sectors = (entry & !(COMPRESSED | 1 << 63)) >> offset_bits;
        (at, (sectors + 1) * 512 - at % 512)
    }
}

impl Qcow2Info {
    /// Walks all tables: see [`super::super::ImageInfo::check_complete`].
    pub(in super::super) fn check_complete<F: Read + Seek>(
        &self,
        file: &mut F,
        name: &str,
    ) -> Result<(), FormatError> {
        let mut source = Source::new(file, name)?;
        let tables = self.tables;
        let cluster = tables.cluster_size();
        let mut end = End { file: source.size, needed: 0 };
        source.numbers(tables.refcount_at, tables.refcount_entries, |entry| {
            let at = entry & !511;
            aligned(name, "a refcount block", at, cluster)?;
            end.needs(if at == 0 { 0 } else { at.saturating_add(cluster) });
            Ok(())
        })?;
        let mut l2_tables = self.l2_tables(&mut source)?;
        l2_tables.sort_unstable();
        if let Some(twice) = l2_tables.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format!("the L2 table at byte {} is used twice", twice[0]);
            return Err(FormatError::Tables { name: name.to_owned(), what });
        }
        for at in l2_tables {
            end.needs(at.saturating_add(cluster));
            if at.saturating_add(cluster) <= source.size {
                self.check_l2(&mut source, at, &mut end)?;
            }
        }
        match end.needed.checked_sub(end.file) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(source.truncated(missing)),
        }
    }

    /// Returns whether the last cluster that is counted as used is in the file. Files grow at their
    /// end: one that is cut off lacks it. Of a file whose counts may be wrong nothing can be said.
    pub(in super::super) fn seems_whole<F: Read + Seek>(
        &self,
        file: &mut F,
        name: &str,
    ) -> Result<bool, FormatError> {
        let mut source = Source::new(file, name)?;
        let tables = self.tables;
        let (cluster, order) = (tables.cluster_size(), tables.refcount_order);
        if self.dirty || self.corrupt || self.data_file.is_some() {
            return Ok(false);
        }
        let (mut index, mut last) = (0, None);
        source.numbers(tables.refcount_at, tables.refcount_entries, |entry| {
            if entry & !511 != 0 {
                last = Some((index, entry & !511));
            }
            index += 1;
            Ok(())
        })?;
        let Some((index, at)) = last else { return Ok(false) };
        if !at.is_multiple_of(cluster) || source.within(at, cluster).is_err() {
            return Ok(false);
        }
        let block = source.read(at, cluster)?;
        let Some(byte) = block.iter().rposition(|&byte| byte != 0) else { return Ok(false) };
        // Counts of less than a byte begin at its lowest bit.
        let bit = 7 - u64::from(block[byte].leading_zeros());
        let bits = u64::try_from(byte).map_or(u64::MAX, |byte| byte * 8 + bit);
        let used = index * ((cluster * 8) >> order) + (bits >> order);
        Ok(used.saturating_add(1).saturating_mul(cluster) <= source.size)
    }

    fn l2_tables<F: Read + Seek>(
        &self,
        source: &mut Source<'_, F>,
    ) -> Result<Vec<u64>, FormatError> {
        let (name, cluster) = (source.name, self.tables.cluster_size());
        let mut out = Vec::new();
        source.numbers(self.tables.l1_at, self.tables.l1_entries, |entry| {
            let at = entry & OFFSET;
            aligned(name, "an L2 table", at, cluster)?;
            if at != 0 {
                out.push(at);
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn check_l2<F: Read + Seek>(
        &self,
        source: &mut Source<'_, F>,
        at: u64,
        end: &mut End,
    ) -> Result<(), FormatError> {
        let (name, cluster) = (source.name, self.tables.cluster_size());
        let mut bitmap_next = false;
        source.numbers(at, cluster / 8, |entry| {
            if self.extended_l2 {
                bitmap_next = !bitmap_next;
                if !bitmap_next {
                    return Ok(());
                }
            }
            if entry & COMPRESSED != 0 {
                let (at, len) = self.tables.compressed(entry);
                // How much of the last sector it takes is not known.
                end.needs(at.saturating_add(len).saturating_sub(511));
            } else if entry & OFFSET != 0 && self.data_file.is_none() {
                aligned(name, "a data cluster", entry & OFFSET, cluster)?;
                end.needs_cluster(entry & OFFSET, cluster);
            }
            Ok(())
        })
    }
}

/// How far the file goes and how far it must.
#[derive(Debug)]
struct End {
    file: u64,
    needed: u64,
}

impl End {
    fn needs(&mut self, end: u64) {
        self.needed = self.needed.max(end);
    }

    /// A last cluster may be there in part, in whole sectors: some QEMU wrote no more of it than
    /// the disk has, and `qemu-img check` accepts it (`qcow2_inc_refcounts_imrt`).
    fn needs_cluster(&mut self, at: u64, cluster: u64) {
        let partly = at < self.file && self.file.is_multiple_of(512);
        self.needs(if partly { at } else { at.saturating_add(cluster) });
    }
}

fn aligned(name: &str, what: &str, at: u64, cluster: u64) -> Result<(), FormatError> {
    if at.is_multiple_of(cluster) {
        return Ok(());
    }
    let what = format!("{what} at byte {at} is not at a multiple of {cluster}");
    Err(FormatError::Tables { name: name.to_owned(), what })
}
