// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System use entries: what Rock Ridge adds to a directory record.
//!
//! SUSP 1.10, 5 (`SP`, `CE`, `ER`) and RRIP 1.10, 4.1 (`PX`, `NM`, `TF`).

use super::SECTOR;
use super::records::{Stamp, both32};

/// The length of a `CE` entry.
const CE_LEN: usize = 28;

/// The most bytes of a name in one `NM` entry: 255 less the entry's head.
const NM_BYTES: usize = 250;

/// How Rock Ridge names itself: RRIP 1.10, 4.3; the three texts are given there.
const ER: [&str; 3] = [
    "RRIP_1991A",
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
    "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY \
     VOLUME DESCRIPTOR FOR CONTACT INFORMATION.",
];

/// Returns an entry of version 1.
fn entry(signature: [u8; 2], data: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![signature[0], signature[1], 0, 1];
    data.iter().for_each(|d| out.extend(*d));
    out[2] = u8::try_from(out.len()).expect("entries are made short enough");
    out
}

/// Returns the entry that the root's own record begins with.
pub(super) fn sharing_protocol() -> Vec<u8> {
    entry(*b"SP", &[&[0xbe, 0xef, 0]])
}

/// Returns the entry that names the protocol.
pub(super) fn extension_reference() -> Vec<u8> {
    let len = |n: usize| u8::try_from(ER[n].len()).expect("the texts are short");
    let [id, about, source] = ER.map(str::as_bytes);
    entry(*b"ER", &[&[len(0), len(1), len(2), 1], id, about, source])
}

/// Returns the entry with type, permissions and number of links; the owner is root.
pub(super) fn posix(mode: u32, links: u32) -> Vec<u8> {
    entry(*b"PX", &[&both32(mode), &both32(links), &both32(0), &both32(0)])
}

/// Returns the entry with the times of modification, access and change.
pub(super) fn times(stamp: &Stamp) -> Vec<u8> {
    entry(*b"TF", &[&[0x0e], &stamp.short, &stamp.short, &stamp.short])
}

/// Returns the entries with the name: two if it is longer than one holds.
pub(super) fn name(name: &str) -> Vec<Vec<u8>> {
    let parts: Vec<&[u8]> = name.as_bytes().chunks(NM_BYTES).collect();
    let last = parts.len().saturating_sub(1);
    let flags = |n: usize| [u8::from(n < last)];
    parts.iter().enumerate().map(|(n, part)| entry(*b"NM", &[&flags(n), part])).collect()
}

/// Where entries go that have no room in their record. Linux reads each record's share from one
/// sector only, so none crosses a sector's end.
#[derive(Debug, Default)]
pub(super) struct Continuation {
    /// The first sector of the area.
    pub(super) sector: u32,
    /// The bytes so far.
    pub(super) bytes: Vec<u8>,
}

impl Continuation {
    /// Returns the entries as the system use field of a record with `room` bytes left; what does
    /// not fit is put here and pointed to.
    pub(super) fn fit(&mut self, entries: &[Vec<u8>], room: usize) -> Vec<u8> {
        let all: usize = entries.iter().map(Vec::len).sum();
        if all <= room {
            return entries.concat();
        }
        let mut here = Vec::new();
        let mut rest = entries.iter().peekable();
        while let Some(entry) = rest.next_if(|e| here.len() + e.len() + CE_LEN <= room) {
            here.extend(entry);
        }
        let there: Vec<u8> = rest.flatten().copied().collect();
        if self.bytes.len() % SECTOR + there.len() > SECTOR {
            self.bytes.resize(self.bytes.len().next_multiple_of(SECTOR), 0);
        }
        let small = |n: usize| u32::try_from(n).expect("names are short and nodes few");
        let (sector, offset) = (self.bytes.len() / SECTOR, self.bytes.len() % SECTOR);
        let place = both32(self.sector.saturating_add(small(sector)));
        here.extend(entry(*b"CE", &[&place, &both32(small(offset)), &both32(small(there.len()))]));
        self.bytes.extend(there);
        here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_over_250_bytes_take_two_entries() {
        let entries = name(&"x".repeat(255));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0][..5], [b'N', b'M', 255, 1, 1]);
        assert_eq!(entries[1], [b'N', b'M', 10, 1, 0, b'x', b'x', b'x', b'x', b'x']);
    }

    #[test]
    fn nothing_crosses_a_sector() {
        let mut area = Continuation { sector: 100, bytes: Vec::new() };
        for _ in 0..50 {
            let field = area.fit(&name(&"y".repeat(200)), 60);
            assert_eq!(field.len(), CE_LEN);
            let number = |at: usize| u32::from_le_bytes(field[at..at + 4].try_into().unwrap());
            assert!(number(4) >= 100 && number(12) + number(20) <= 2048);
        }
        // Nine entries of 205 bytes to a sector.
        assert_eq!(area.bytes.len() / SECTOR, 5);
    }
}
