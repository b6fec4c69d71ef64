// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clusters, tables and reference counts of a new qcow2 file.
//!
//! The file is, in this order: the header, the L1 table, then data, L2 tables and blocks of
//! reference counts as they come to be complete, the refcount table at the end. What is kept in
//! memory is the L1 table, one L2 table and the counts of 2 GiB.
//!
//! Source: `docs/interop/qcow2.txt` of QEMU 10.0.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most bytes of an L1 table and of a refcount table that QEMU takes.
const MOST_L1: u64 = 32 << 20;
const MOST_REFTABLE: u64 = 8 << 20;
/// Set in an entry whose cluster has a count of one.
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Bytes of the header: version 2, and 3 with the kind of compression.
const HEADER_2: u32 = 72;
const HEADER_3: u32 = 112;
/// The feature bit of a kind of compression that is not zlib.
const COMPRESSION: u64 = 1 << 3;

/// What the file is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The size of the disk.
    pub(super) size: u64,
    pub(super) cluster_bits: u32,
    /// Whether it is of version 2.
    pub(super) old: bool,
    /// Whether compressed clusters are zstd's.
    pub(super) zstd: bool,
}

/// Writes the file. Clusters come in the order of the disk.
pub(super) struct Writer<'a> {
    file: &'a File,
    shape: Shape,
    l1_at: u64,
    l1: Vec<u64>,
    /// The L2 table that is being filled: its number in L1, and its entries.
    l2: Option<(usize, Vec<u64>)>,
    /// The next cluster of the file that nothing is in.
    next: u64,
    counts: Counts,
    /// Where compressed bytes go on, and the end of the clusters that are theirs.
    packed: (u64, u64),
}

/// Reference counts, 16 bits each. A block of them is written when it is complete.
struct Counts {
    /// Where the complete blocks are.
    blocks: Vec<u64>,
    /// The counts from the first cluster of the first incomplete block on.
    open: Vec<u16>,
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("tables are some MiB at most")
}

fn len64<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).expect("a slice is shorter than 2^64")
}

impl<'a> Writer<'a> {
    /// Begins a file; says what is wrong if the disk is too large for its clusters.
    pub(super) fn new(file: &'a File, shape: Shape) -> Result<Self, String> {
        let entries = shape.size.div_ceil(1 << (2 * shape.cluster_bits - 3));
        if entries * 8 > MOST_L1 {
            return Err(format!(
                "a disk of {} bytes needs larger clusters than {}",
                shape.size,
                1_u64 << shape.cluster_bits
            ));
        }
        let l1 = vec![0; index(entries)];
        let counts = Counts { blocks: Vec::new(), open: Vec::new() };
        let mut it = Self { file, shape, l1_at: 0, l1, l2: None, next: 0, counts, packed: (0, 0) };
        // The header, and the L1 table of at least one cluster.
        it.take(1).map_err(|error| error.to_string())?;
        let clusters = (entries * 8).div_ceil(it.cluster()).max(1);
        it.l1_at = it.take(clusters).map_err(|error| error.to_string())?;
        Ok(it)
    }

    fn cluster(&self) -> u64 {
        1 << self.shape.cluster_bits
    }

    /// Clusters that a block of counts is for.
    fn per_block(&self) -> usize {
        index(self.cluster() / 2)
    }

    /// Takes the next `count` clusters, and returns where they begin.
    fn take(&mut self, count: u64) -> io::Result<u64> {
        let at = self.next << self.shape.cluster_bits;
        self.next += count;
        self.counts.open.resize(self.counts.open.len() + index(count), 1);
        // Two blocks, so that one is never closed with counts that can still grow.
        while self.counts.open.len() > 2 * self.per_block() {
            self.close_block()?;
        }
        Ok(at)
    }

    /// Writes the first open block of counts into a new cluster, which is counted in a later one.
    fn close_block(&mut self) -> io::Result<()> {
        let per_block = self.per_block();
        let rest = self.counts.open.split_off(per_block.min(self.counts.open.len()));
        let mut block = std::mem::replace(&mut self.counts.open, rest);
        block.resize(per_block, 0);
        let at = self.next << self.shape.cluster_bits;
        self.next += 1;
        self.counts.open.push(1);
        self.counts.blocks.push(at);
        let bytes: Vec<u8> = block.into_iter().flat_map(u16::to_be_bytes).collect();
        self.file.write_all_at(&bytes, at)
    }

    /// Sets the L2 entry of the disk's cluster `number`.
    fn set(&mut self, number: u64, entry: u64) -> io::Result<()> {
        let per_table = self.cluster() / 8;
        let table = index(number / per_table);
        if self.l2.as_ref().is_none_or(|(open, _)| *open != table) {
            self.close_l2()?;
            self.l2 = Some((table, vec![0; index(per_table)]));
        }
        if let Some((_, entries)) = &mut self.l2 {
            entries[index(number % per_table)] = entry;
        }
        Ok(())
    }

    fn close_l2(&mut self) -> io::Result<()> {
        let Some((table, entries)) = self.l2.take() else { return Ok(()) };
        let at = self.take(1)?;
        self.l1[table] = at | COPIED;
        self.file.write_all_at(&big_end(&entries), at)
    }

    /// Writes `count` clusters of the disk from `number` on as they are. Only the last may be
    /// short.
    pub(super) fn plain(&mut self, number: u64, count: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut number, mut count, mut bytes) = (number, count, bytes);
        while count > 0 {
            // An L2 table that ends here is written before what comes after it, so that the
            // clusters of one run are neighbours in the file.
            let per_table = self.cluster() / 8;
            let now = count.min(per_table - number % per_table);
            self.set(number, 0)?;
            let at = self.take(now)?;
            for n in 0..now {
                let place = at + (n << self.shape.cluster_bits);
                self.set(number + n, place | COPIED)?;
            }
            let len = index(now << self.shape.cluster_bits).min(bytes.len());
            self.file.write_all_at(&bytes[..len], at)?;
            bytes = &bytes[len..];
            (number, count) = (number + now, count - now);
        }
        Ok(())
    }

    /// Writes a compressed cluster of the disk.
    pub(super) fn packed(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.set(number, 0)?;
        let len = len64(bytes);
        let at = self.room_for(len)?;
        self.file.write_all_at(bytes, at)?;
        let end = at + len;
        self.packed.0 = end;
        // How many more sectors of 512 bytes it reaches into.
        let sectors = (end - 1) / 512 - at / 512;
        let offset_bits = 62 - (self.shape.cluster_bits - 8);
        self.set(number, COMPRESSED | sectors << offset_bits | at)
    }

    /// Returns where `len` compressed bytes go, and counts them in each cluster that they touch.
    fn room_for(&mut self, len: u64) -> io::Result<u64> {
        let bits = self.shape.cluster_bits;
        let (at, end) = self.packed;
        // What is left is in one cluster, whose count can still grow.
        let left = if self.can_count(at >> bits) { end - at } else { 0 };
        if left >= len {
            self.count(at >> bits);
            return Ok(at);
        }
        // They go on into the next cluster only if that is the file's next one.
        let go_on = left > 0 && end == self.next << bits;
        let (at, inside) = if go_on { (at, left) } else { (self.next << bits, 0) };
        if go_on {
            self.count(at >> bits);
        }
        let more = (len - inside).div_ceil(self.cluster());
        let taken = self.take(more)?;
        self.packed = (at, taken + (more << bits));
        Ok(at)
    }

    /// The first cluster whose count is not written yet.
    fn first_open(&self) -> u64 {
        len64(&self.counts.blocks) * self.cluster() / 2
    }

    fn can_count(&self, cluster: u64) -> bool {
        let place = cluster.checked_sub(self.first_open()).map(index);
        let count = place.and_then(|place| self.counts.open.get(place));
        count.is_some_and(|count| *count < u16::MAX)
    }

    fn count(&mut self, cluster: u64) {
        let place = index(cluster - self.first_open());
        self.counts.open[place] += 1;
    }

    /// Writes what is left: tables, counts and the header.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close_l2()?;
        self.file.write_all_at(&big_end(&self.l1), self.l1_at)?;
        let (bits, per_block) = (self.shape.cluster_bits, self.cluster() / 2);
        // The last blocks and the table are counted themselves.
        let (mut blocks, mut table) = (0, 0);
        loop {
            let all = (self.next + blocks + table).div_ceil(per_block);
            let sizes = (all - len64(&self.counts.blocks), (all * 8).div_ceil(self.cluster()));
            if sizes == (blocks, table) {
                break;
            }
            (blocks, table) = sizes;
        }
        if table << bits > MOST_REFTABLE {
            return Err(io::Error::other("the file is too large for its clusters"));
        }
        let mut at = self.next << bits;
        self.next += blocks + table;
        self.counts.open.resize(self.counts.open.len() + index(blocks + table), 1);
        for part in self.counts.open.chunks(index(per_block)) {
            let mut bytes: Vec<u8> = part.iter().flat_map(|count| count.to_be_bytes()).collect();
            bytes.resize(index(self.cluster()), 0);
            self.file.write_all_at(&bytes, at)?;
            self.counts.blocks.push(at);
            at += self.cluster();
        }
        self.file.write_all_at(&big_end(&self.counts.blocks), at)?;
        self.file.set_len(self.next << bits)?;
        self.file.write_all_at(&self.header(at, table), 0)
    }

    fn header(&self, table_at: u64, table_clusters: u64) -> Vec<u8> {
        let short = |n: u64| u32::try_from(n).expect("tables are some MiB at most").to_be_bytes();
        let shape = self.shape;
        let version: u32 = if shape.old { 2 } else { 3 };
        let mut header = b"QFI\xfb".to_vec();
        header.extend(version.to_be_bytes());
        // No backing file.
        header.extend([0; 12]);
        header.extend(shape.cluster_bits.to_be_bytes());
        header.extend(shape.size.to_be_bytes());
        // Not encrypted.
        header.extend([0; 4]);
        header.extend(short(len64(&self.l1)));
        header.extend(self.l1_at.to_be_bytes());
        header.extend(table_at.to_be_bytes());
        header.extend(short(table_clusters));
        // No snapshots.
        header.extend([0; 12]);
        debug_assert_eq!(len64(&header), u64::from(HEADER_2), "the header of version 2");
        if !shape.old {
            header.extend((if shape.zstd { COMPRESSION } else { 0 }).to_be_bytes());
            header.extend([0; 16]);
            // Counts of 2^4 bits.
            header.extend(4_u32.to_be_bytes());
            header.extend(HEADER_3.to_be_bytes());
            header.extend([u8::from(shape.zstd), 0, 0, 0, 0, 0, 0, 0]);
        }
        // The end of the extensions.
        header.extend([0; 8]);
        header
    }
}

fn big_end(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
