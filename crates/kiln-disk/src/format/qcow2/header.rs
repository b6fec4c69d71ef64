// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The header and its extensions.

use std::io::{Read, Seek};

use kiln_spec::Bytes;

use super::super::FormatError;
use super::super::source::Source;
use super::{Compression, Encryption, Qcow2Info, Tables};

const MAGIC: &[u8] = b"QFI\xfb";

/// The length of a header of version 2, and the least of one of version 3.
const HEADER_LEN: [u32; 2] = [72, 104];

/// The least and most of `cluster_bits`.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// The most bytes of the L1 table: `QCOW_MAX_L1_SIZE`.
pub(super) const MOST_L1: u64 = 32 << 20;

/// The most bytes of the refcount table: `QCOW_MAX_REFTABLE_SIZE`.
pub(super) const MOST_REFTABLE: u64 = 8 << 20;

/// The most internal snapshots: `QCOW_MAX_SNAPSHOTS`.
const MOST_SNAPSHOTS: u32 = 65_536;

/// The least bytes of an entry of the snapshot table.
const SNAPSHOT_LEN: u64 = 40;

/// The most bytes of a backing file's name.
const MOST_NAME: u32 = 1023;

/// Bits of `incompatible_features`.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// Types of header extensions.
const BACKING_FORMAT: u32 = 0xe279_2aca;
const FEATURE_NAMES: u32 = 0x6803_f857;
const DATA_FILE_NAME: u32 = 0x4441_5441;
const BITMAPS: u32 = 0x2385_2875;

/// The fields of a header as they are. Those of version 3 have their defaults in version 2.
#[derive(Debug)]
struct Fields<'a> {
    bytes: &'a [u8],
}

impl Fields<'_> {
    fn u32(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) << 32 | u64::from(self.u32(at + 4))
    }

    fn version(&self) -> u32 {
        self.u32(4)
    }

    fn is_v3(&self) -> bool {
        self.version() >= 3
    }

    fn incompatible(&self) -> u64 {
        if self.is_v3() { self.u64(72) } else { 0 }
    }

    fn refcount_order(&self) -> u32 {
        if self.is_v3() { self.u32(96) } else { 4 }
    }

    fn header_len(&self) -> u32 {
        if self.is_v3() { self.u32(100) } else { HEADER_LEN[0] }
    }

    fn compression(&self) -> u8 {
        let has = self.is_v3() && self.header_len() > HEADER_LEN[1];
        if has { self.bytes.get(104).copied().unwrap_or(0) } else { 0 }
    }
}

/// Returns what the header says, or `None` if this is no qcow2 file.
pub(in super::super) fn parse<F: Read + Seek>(
    source: &mut Source<'_, F>,
    head: &[u8],
) -> Result<Option<Qcow2Info>, FormatError> {
    if !head.starts_with(MAGIC) {
        return Ok(None);
    }
    source.within(0, u64::from(HEADER_LEN[0]))?;
    let fields = Fields { bytes: head };
    if fields.version() == 1 {
        let name = source.name.to_owned();
        let hint = format!("kiln image convert {name} image.qcow2");
        return Err(FormatError::Unsupported { name, what: "a qcow image, version 1", hint });
    }
    let wrong = |what: String| FormatError::Header { name: source.name.to_owned(), what };
    if !(2..=3).contains(&fields.version()) {
        return Err(wrong(format!("version {} is unknown", fields.version())));
    }
    if fields.is_v3() {
        source.within(0, u64::from(HEADER_LEN[1]))?;
    }
    let tables = tables(&fields).map_err(wrong)?;
    let cluster_size = 1_u64 << tables.cluster_bits;
    // The header and all that belongs to it is in the first cluster.
    source.within(0, cluster_size.min(u64::from(fields.header_len())))?;
    let first = source.read(0, cluster_size.min(source.size))?;
    let extensions = extensions(source, &fields, &first)?;
    features(source.name, &fields, &extensions)?;
    let backing_file = backing_file(source, &fields, &first)?;
    source.within(tables.l1_at, tables.l1_entries * 8)?;
    source.within(tables.refcount_at, tables.refcount_entries * 8)?;
    if fields.u32(60) > 0 {
        source.within(fields.u64(64), u64::from(fields.u32(60)) * SNAPSHOT_LEN)?;
    }
    let wrong = |what: String| FormatError::Header { name: source.name.to_owned(), what };
    let encryption = match fields.u32(32) {
        0 => Encryption::None,
        1 => Encryption::Aes,
        2 => Encryption::Luks,
        n => return Err(wrong(format!("encryption method {n} is unknown"))),
    };
    let compression = match fields.compression() {
        0 => Compression::Zlib,
        1 => Compression::Zstd,
        n => return Err(wrong(format!("compression type {n} is unknown"))),
    };
    let bit = |bit: u64| fields.incompatible() & bit != 0;
    if bit(COMPRESSION) != (compression != Compression::Zlib) {
        return Err(wrong("the compression type and its feature bit differ".to_owned()));
    }
    Ok(Some(Qcow2Info {
        version: fields.version(),
        virtual_size: Bytes(fields.u64(24)),
        cluster_size: Bytes(cluster_size),
        backing_file,
        backing_format: extensions.backing_format,
        data_file: bit(DATA_FILE).then(|| extensions.data_file.unwrap_or_default()),
        encryption,
        dirty: bit(DIRTY),
        corrupt: bit(CORRUPT),
        compression,
        extended_l2: bit(EXTENDED_L2),
        snapshots: fields.u32(60),
        bitmaps: extensions.bitmaps,
        tables,
    }))
}

/// Checks the numbers as `qcow2_do_open` does, and returns where the tables are.
fn tables(fields: &Fields<'_>) -> Result<Tables, String> {
    let cluster_bits = fields.u32(20);
    if !CLUSTER_BITS.contains(&cluster_bits) {
        return Err(format!("clusters of 2^{cluster_bits} bytes"));
    }
    let cluster_size = 1_u64 << cluster_bits;
    if fields.header_len() < HEADER_LEN[usize::from(fields.is_v3())]
        || u64::from(fields.header_len()) > cluster_size
    {
        return Err(format!("a header of {} bytes", fields.header_len()));
    }
    if fields.refcount_order() > 6 {
        return Err(format!("reference counts of 2^{} bits", fields.refcount_order()));
    }
    let extended = fields.incompatible() & EXTENDED_L2 != 0;
    if extended && cluster_bits < 14 {
        return Err(format!("clusters of 2^{cluster_bits} bytes with parts"));
    }
    // One L2 table has a cluster of entries, of 8 bytes each or 16.
    let l2_bits = cluster_bits - if extended { 4 } else { 3 };
    let size = fields.u64(24);
    let needed = size.div_ceil(1 << (cluster_bits + l2_bits));
    let (l1_entries, l1_at) = (u64::from(fields.u32(36)), fields.u64(40));
    if l1_entries * 8 > MOST_L1 {
        return Err(format!("an L1 table of {l1_entries} entries"));
    }
    if l1_entries < needed {
        return Err(format!(
            "a disk of {size} bytes needs {needed} entries in the L1 table, which has {l1_entries}"
        ));
    }
    let refcount_at = fields.u64(48);
    let refcount_bytes = u64::from(fields.u32(56)) * cluster_size;
    if refcount_bytes == 0 || refcount_bytes > MOST_REFTABLE {
        return Err(format!("a refcount table of {refcount_bytes} bytes"));
    }
    for (what, at) in [("the L1 table", l1_at), ("the refcount table", refcount_at)] {
        if !at.is_multiple_of(cluster_size)
            || (at == 0 && (what != "the L1 table" || l1_entries > 0))
        {
            return Err(format!("{what} is at byte {at}"));
        }
    }
    let (snapshots, snapshots_at) = (fields.u32(60), fields.u64(64));
    if snapshots > MOST_SNAPSHOTS {
        return Err(format!("{snapshots} snapshots"));
    }
    if !snapshots_at.is_multiple_of(cluster_size) || (snapshots_at == 0 && snapshots > 0) {
        return Err(format!("the snapshot table is at byte {snapshots_at}"));
    }
    Ok(Tables {
        cluster_bits,
        l1_at,
        l1_entries,
        refcount_at,
        refcount_entries: refcount_bytes / 8,
        refcount_order: fields.refcount_order(),
        snapshots_at,
    })
}

/// What the header extensions say.
#[derive(Debug, Default)]
struct Extensions {
    backing_format: Option<String>,
    data_file: Option<String>,
    bitmaps: u32,
    /// Names of incompatible features by their bit.
    names: Vec<(u8, String)>,
}

fn extensions<F: Read + Seek>(
    source: &Source<'_, F>,
    fields: &Fields<'_>,
    first: &[u8],
) -> Result<Extensions, FormatError> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let index = |n: u32| usize::try_from(n).expect("usize has at least 32 bits");
    // They end where the backing file's name begins.
    let end = match usize::try_from(fields.u64(8)) {
        Ok(at) if at != 0 && at <= first.len() => at,
        _ => first.len(),
    };
    let area = Fields { bytes: &first[..end] };
    let mut out = Extensions::default();
    let mut at = index(fields.header_len());
    while at + 8 <= end {
        let (kind, len) = (area.u32(at), index(area.u32(at + 4)));
        if kind == 0 {
            break;
        }
        let Some(data) = area.bytes.get(at + 8..).and_then(|rest| rest.get(..len)) else {
            let what = format!("a header extension of {len} bytes");
            return Err(FormatError::Header { name: source.name.to_owned(), what });
        };
        match kind {
            BACKING_FORMAT => out.backing_format = Some(text(data)),
            DATA_FILE_NAME => out.data_file = Some(text(data)),
            BITMAPS => out.bitmaps = area.u32(at + 8),
            FEATURE_NAMES => {
                // 48 bytes each: type (0 is incompatible), bit, name.
                let features = data.chunks_exact(48).filter(|entry| entry[0] == 0);
                out.names.extend(features.map(|entry| (entry[1], text(&entry[2..]))));
            }
            _ => {}
        }
        at += 8 + len.next_multiple_of(8);
    }
    Ok(out)
}

fn features(name: &str, fields: &Fields<'_>, extensions: &Extensions) -> Result<(), FormatError> {
    let known = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2;
    let unknown = fields.incompatible() & !known;
    if unknown == 0 {
        return Ok(());
    }
    let bit = unknown.trailing_zeros();
    let named = extensions.names.iter().find(|(n, _)| u32::from(*n) == bit);
    let feature = match named {
        Some((_, feature)) => format!("{feature} (bit {bit})"),
        None => format!("bit {bit}"),
    };
    Err(FormatError::Feature { name: name.to_owned(), feature })
}

fn backing_file<F: Read + Seek>(
    source: &Source<'_, F>,
    fields: &Fields<'_>,
    first: &[u8],
) -> Result<Option<String>, FormatError> {
    let (at, len) = (fields.u64(8), fields.u32(16));
    if at == 0 {
        return Ok(None);
    }
    let end = at.saturating_add(u64::from(len));
    if len > MOST_NAME || end > 1 << fields.u32(20) {
        let what = format!("a backing file's name of {len} bytes at byte {at}");
        return Err(FormatError::Header { name: source.name.to_owned(), what });
    }
    source.within(at, u64::from(len))?;
    let start = usize::try_from(at).unwrap_or(first.len());
    let end = usize::try_from(end).unwrap_or(first.len());
    let bytes = first.get(start..end).unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}
