// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The tables of a qcow2 image that has nothing of its own yet: for a device that is to be one.
//!
//! | cluster | what |
//! |---|---|
//! | 0 | the header, with the name of what lies below |
//! | 1 | the table of reference counts |
//! | 2 | reference counts, of these clusters |
//! | 3… | the table of the first level, empty |
//!
//! Source: QEMU, docs/interop/qcow2.rst.

use std::io;

use kiln_spec::Bytes;

use super::create::{BITS, CLUSTER, MOST_L1, index, l1_entries};

/// What an image begins with.
const MAGIC: &[u8] = b"QFI\xfb";
/// The longest name that a header takes.
const MOST_NAME: usize = 1023;
/// How long a header of version 3 is.
const HEADER: u32 = 104;
/// The mark of the extension that names the format of what lies below.
const BACKING_FORMAT: u32 = 0xe279_2aca;

/// Returns the first bytes of an image of `size` bytes that shows what is at `path` on the host, whose
/// format is `format`.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] if the path is too long or the disk too large for a header.
pub fn overlay(size: Bytes, (path, format): (&str, &str)) -> io::Result<Vec<u8>> {
    let wrong = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    if path.len() > MOST_NAME || format.len() > 16 {
        return wrong("the path is too long for a qcow2");
    }
    let entries = l1_entries(size.0);
    let tables = (entries * 8).div_ceil(CLUSTER);
    if entries * 8 > MOST_L1 {
        return wrong("the disk is too large for a qcow2 of 64 KiB clusters");
    }
    let (Ok(entries), Ok(name_len), Ok(format_len)) =
        (u32::try_from(entries), u32::try_from(path.len()), u32::try_from(format.len()))
    else {
        return wrong("the disk is too large for a qcow2");
    };
    // The extension, padded to eight bytes, and the end of the extensions are before the name.
    let name_at = u64::from(HEADER) + 8 + u64::from(format_len).next_multiple_of(8) + 8;
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    bytes.extend(3_u32.to_be_bytes());
    bytes.extend(name_at.to_be_bytes());
    bytes.extend(name_len.to_be_bytes());
    bytes.extend(BITS.to_be_bytes());
    bytes.extend(size.0.next_multiple_of(512).to_be_bytes());
    // Not encrypted; the table of the first level, and that of counts.
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend(entries.to_be_bytes());
    bytes.extend((3 * CLUSTER).to_be_bytes());
    bytes.extend(CLUSTER.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    // No snapshots and no features; counts of 16 bits.
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend([0; 8 + 3 * 8]);
    bytes.extend(4_u32.to_be_bytes());
    bytes.extend(HEADER.to_be_bytes());
    bytes.extend(BACKING_FORMAT.to_be_bytes());
    bytes.extend(format_len.to_be_bytes());
    bytes.extend(format.as_bytes());
    bytes.resize(index(name_at), 0);
    bytes.extend(path.as_bytes());
    bytes.resize(index(CLUSTER), 0);
    bytes.extend((2 * CLUSTER).to_be_bytes());
    bytes.resize(index(2 * CLUSTER), 0);
    for _ in 0..3 + tables {
        bytes.extend(1_u16.to_be_bytes());
    }
    bytes.resize(index((3 + tables) * CLUSTER), 0);
    Ok(bytes)
}

/// Returns the size of the disk that an image shows which begins so; `None` if that is no qcow2.
#[must_use]
pub fn size_in(start: &[u8]) -> Option<Bytes> {
    let size = start.get(24..32).filter(|_| start.starts_with(MAGIC))?;
    Some(Bytes(u64::from_be_bytes(size.try_into().ok()?)))
}

/// Returns how long an image of a disk of `size` bytes can become, with all that it has of its own.
#[must_use]
pub fn most_of(size: Bytes) -> Bytes {
    let clusters = size.0.div_ceil(CLUSTER);
    let tables = l1_entries(size.0) + (l1_entries(size.0) * 8).div_ceil(CLUSTER);
    // Counts of two bytes for each cluster, themselves included, and a table of their blocks.
    let counted = clusters + tables + 3;
    let counts = (counted * 2).div_ceil(CLUSTER) + 1;
    let counts_table = (counts * 8).div_ceil(CLUSTER);
    // When QEMU outgrows a table of counts, both are there for a moment.
    Bytes((counted + 2 * counts + 2 * counts_table + 16) * CLUSTER)
}
