// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One block of a directory: entries from its beginning to its end.
//!
//! Source: Documentation/filesystems/ext4/directory.rst of Linux: `ext4_dir_entry_2` and
//! `ext4_dir_entry_tail`.

/// Bytes of an entry before its name.
pub(super) const HEAD: usize = 8;
/// Bytes of the checksum's entry at the end of a block.
pub(super) const TAIL: usize = 12;
/// What the checksum's entry has for a file type.
const TAIL_TYPE: u8 = 0xde;

/// An entry as it stands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) inode: u32,
    pub(super) file_type: u8,
    pub(super) name: &'a [u8],
}

/// What the blocks of directories look like in one file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Bytes of a block.
    pub(super) block: usize,
    /// How many of them are left for a checksum.
    pub(super) tail: usize,
    pub(super) file_types: bool,
}

impl Shape {
    /// Returns the bytes of a block that are for entries.
    pub(super) fn room(self) -> usize {
        self.block - self.tail
    }

    /// Returns a block with these entries, which must fit.
    pub(super) fn block_of<'a>(self, entries: impl Iterator<Item = Found<'a>>) -> Vec<u8> {
        let mut block = Vec::with_capacity(self.block);
        let mut last = None;
        for entry in entries {
            last = Some(block.len());
            let file_type = if self.file_types { entry.file_type } else { 0 };
            put(&mut block, Found { file_type, ..entry }, size_of(entry.name));
        }
        let last = last.unwrap_or_else(|| {
            put(&mut block, Found { inode: 0, file_type: 0, name: b"" }, HEAD);
            0
        });
        // The last entry reaches to the end of the block, or to the checksum.
        let room = self.room();
        block[last + 4..last + 6].copy_from_slice(&rec_len(room - last));
        block.resize(room, 0);
        if self.tail > 0 {
            put(&mut block, Found { inode: 0, file_type: TAIL_TYPE, name: b"" }, TAIL);
        }
        block
    }
}

/// Returns the bytes that an entry of this name takes.
pub(super) fn size_of(name: &[u8]) -> usize {
    (HEAD + name.len()).next_multiple_of(4)
}

/// Appends one entry of `len` bytes.
fn put(to: &mut Vec<u8>, entry: Found<'_>, len: usize) {
    let start = to.len();
    to.extend_from_slice(&entry.inode.to_le_bytes());
    to.extend_from_slice(&rec_len(len));
    to.push(u8::try_from(entry.name.len()).expect("names are checked: at most 255 bytes"));
    to.push(entry.file_type);
    to.extend_from_slice(entry.name);
    to.resize(start + len, 0);
}

/// Returns the two bytes for a length. A block of 64 KiB is written as 0: Linux,
/// `ext4_rec_len_to_disk`.
pub(super) fn rec_len(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or_default().to_le_bytes()
}

/// Returns the entries that are in use; `None` if they do not fill the block as they should.
pub(super) fn entries(block: &[u8]) -> Option<Vec<Found<'_>>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < block.len() {
        let rest = &block[at..];
        // A rest too short for an entry is only found in inodes.
        if rest.len() < HEAD {
            break;
        }
        let inode = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let len = match usize::from(u16::from_le_bytes([rest[4], rest[5]])) {
            0 | 0xffff if block.len() >= 1 << 16 => 1 << 16,
            len => len,
        };
        let name_len = usize::from(rest[6]);
        if len < HEAD + name_len || len > rest.len() || !len.is_multiple_of(4) {
            return None;
        }
        if inode != 0 {
            let name = &rest[HEAD..HEAD + name_len];
            found.push(Found { inode, file_type: rest[7], name });
        }
        at += len;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let names = [&b"."[..], b"..", b"a", b"four", b"longer-name", &[0xff; 255]];
        let all: Vec<Found<'_>> =
            (1..).zip(names).map(|(inode, name)| Found { inode, file_type: 2, name }).collect();
        for shape in [
            Shape { block: 1024, tail: 0, file_types: true },
            Shape { block: 1024, tail: TAIL, file_types: true },
            Shape { block: 65_536, tail: 0, file_types: true },
        ] {
            let block = shape.block_of(all.iter().copied());
            assert_eq!(block.len(), shape.block);
            assert_eq!(entries(&block).unwrap(), all);
            let empty = shape.block_of([].into_iter());
            assert_eq!(entries(&empty).unwrap(), []);
        }
    }

    #[test]
    fn entries_that_lead_out_of_the_block_are_none() {
        let shape = Shape { block: 1024, tail: 0, file_types: true };
        let good = shape.block_of([Found { inode: 5, file_type: 1, name: b"name" }].into_iter());
        for (at, byte) in [(4, 3), (5, 5), (4, 4), (6, 255)] {
            let mut bad = good.clone();
            bad[at] = byte;
            let bad = if at == 6 { &bad[..256] } else { &bad[..] };
            assert_eq!(entries(bad), None, "{at}");
        }
    }
}
