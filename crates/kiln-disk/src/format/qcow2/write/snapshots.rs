// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of internal snapshots, as far as writing must know it.

use super::super::{FormatError, Qcow2Info};
use super::WriteError;
use crate::format::medium::Medium;

/// The fixed part of an entry.
const ENTRY: usize = 40;

/// The most bytes of an L1 table: `QCOW_MAX_L1_SIZE`.
const MOST_L1: u64 = 32 << 20;

/// The most bytes of the table: `QCOW_MAX_SNAPSHOTS_SIZE`.
const MOST_TABLE: u64 = 64 << 20;

/// What an entry must say more for a snapshot that has a size of its own.
const SIZE_KNOWN: u32 = 16;

/// The snapshots of an image.
#[derive(Debug)]
pub(super) struct Snapshots {
    pub(super) list: Vec<Snapshot>,
    /// The length of the table in bytes.
    pub(super) len: u64,
}

/// One snapshot.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) l1_at: u64,
    pub(super) l1_entries: u64,
    /// Whether its own size is told, so that the disk's can change.
    pub(super) has_size: bool,
}

/// Reads the table.
pub(super) fn read(name: &str, medium: &Medium, info: &Qcow2Info) -> Result<Snapshots, WriteError> {
    let wrong = |what: String| FormatError::Tables { name: name.to_owned(), what };
    let cluster = info.tables.cluster_size();
    let mut list = Vec::new();
    let mut at = info.tables.snapshots_at;
    for _ in 0..info.snapshots {
        let mut entry = [0; ENTRY];
        medium.read(at, &mut entry)?;
        let u32_at =
            |i: usize| u32::from_be_bytes([entry[i], entry[i + 1], entry[i + 2], entry[i + 3]]);
        let u16_at = |i: usize| u64::from(u16::from_be_bytes([entry[i], entry[i + 1]]));
        let l1_at = u64::from(u32_at(0)) << 32 | u64::from(u32_at(4));
        let (l1_entries, extra) = (u64::from(u32_at(8)), u32_at(36));
        if !l1_at.is_multiple_of(cluster) || l1_entries * 8 > MOST_L1 {
            let what = format!("a snapshot's L1 table of {l1_entries} entries is at byte {l1_at}");
            return Err(wrong(what).into());
        }
        list.push(Snapshot { l1_at, l1_entries, has_size: extra >= SIZE_KNOWN });
        let len = 40 + u64::from(extra) + u16_at(12) + u16_at(14);
        at = at.saturating_add(len.next_multiple_of(8));
        if at - info.tables.snapshots_at > MOST_TABLE {
            return Err(wrong("the snapshot table is too long".to_owned()).into());
        }
    }
    Ok(Snapshots { list, len: at - info.tables.snapshots_at })
}
