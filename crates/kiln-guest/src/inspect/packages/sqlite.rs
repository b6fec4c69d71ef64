// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The last column of one table of an SQLite database: all that rpm's needs.
//!
//! Source: sqlite.org, "Database File Format": 1.3 (header), 1.6 (b-tree pages, cells, payload on
//! overflow pages), 2.1 (records), 2.6 (schema).
//!
//! **Invariant:** the file is hostile: each page is visited once, so that no tree and no chain of
//! overflow pages is endless.

use std::collections::HashSet;

/// The most bytes of one value.
const MOST_VALUE: usize = 64 << 20;
/// How deep trees are: SQLite's own limit is 20.
const DEEPEST: usize = 24;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

struct File<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Bytes of a page that are used.
    usable: usize,
    seen: HashSet<usize>,
    left: usize,
}

/// Returns the blobs in the last column of a table; `None` if the file is no such database, or
/// damaged.
pub(super) fn blobs(file: &[u8], table: &str, most: usize) -> Option<Vec<Vec<u8>>> {
    if !file.starts_with(b"SQLite format 3\0") {
        return None;
    }
    let page = match be16(file, 16)? {
        1 => 65_536,
        size if size >= 512 && size.is_power_of_two() => size,
        _ => return None,
    };
    let usable = page.checked_sub(usize::from(*file.get(20)?)).filter(|&usable| usable >= 480)?;
    let mut file = File { bytes: file, page, usable, seen: HashSet::new(), left: most };
    let mut root = None;
    for record in file.rows(1)? {
        let columns = columns(&record)?;
        // Columns: type, name, tbl_name, rootpage, sql.
        let [kind, name, _, at, ..] = columns.as_slice() else { return None };
        if *kind == b"table" && *name == table.as_bytes() {
            root = Some(at.iter().fold(0_usize, |n, &b| n << 8 & 0xffff_ffff | usize::from(b)));
        }
    }
    file.left = most;
    let rows = file.rows(root?)?;
    rows.iter().map(|record| Some(columns(record)?.last()?.to_vec())).collect()
}

impl File<'_> {
    fn get(&mut self, number: usize) -> Option<Vec<u8>> {
        if !self.seen.insert(number) {
            return None;
        }
        let start = number.checked_sub(1)?.checked_mul(self.page)?;
        Some(self.bytes.get(start..start.checked_add(self.page)?)?.to_vec())
    }

    /// Returns the records of a table's tree, in order.
    fn rows(&mut self, root: usize) -> Option<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        let mut todo = vec![(root, 0)];
        while let Some((number, depth)) = todo.pop() {
            let page = self.get(number)?;
            // The file's own header is on the first page.
            let head = if number == 1 { 100 } else { 0 };
            let kind = *page.get(head)?;
            let cells = be16(&page, head + 3)?;
            let first = head + if kind == INTERIOR { 12 } else { 8 };
            if !matches!(kind, INTERIOR | LEAF) || depth > DEEPEST {
                return None;
            }
            let mut children = Vec::new();
            for cell in 0..cells {
                let at = be16(&page, first + 2 * cell)?;
                if kind == INTERIOR {
                    children.push(be32(&page, at)?);
                } else if self.left > 0 {
                    self.left -= 1;
                    all.push(self.record(&page, at)?);
                }
            }
            if kind == INTERIOR {
                children.push(be32(&page, head + 8)?);
            }
            todo.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
        }
        Some(all)
    }

    /// Returns the payload of a leaf's cell, with what is on overflow pages.
    fn record(&mut self, page: &[u8], at: usize) -> Option<Vec<u8>> {
        let (len, used) = varint(page, at)?;
        let (_, row) = varint(page, at + used)?;
        let start = at + used + row;
        let len = usize::try_from(len).ok().filter(|&len| len <= MOST_VALUE)?;
        let most = self.usable - 35;
        if len <= most {
            return Some(page.get(start..start.checked_add(len)?)?.to_vec());
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fits = least + (len - least) % (self.usable - 4);
        let here = if fits <= most { fits } else { least };
        let mut payload = page.get(start..start + here)?.to_vec();
        let mut next = be32(page, start + here)?;
        while payload.len() < len {
            let page = self.get(next)?;
            let part = (len - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(page.get(4..4 + part)?);
            next = be32(&page, 0)?;
        }
        Some(payload)
    }
}

/// Returns the columns of a record as they are stored.
fn columns(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (head, mut at) = varint(record, 0)?;
    let head = usize::try_from(head).ok().filter(|&head| head <= record.len())?;
    let mut data = head;
    let mut all = Vec::new();
    while at < head {
        let (kind, used) = varint(record, at)?;
        at += used;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            kind => usize::try_from((kind - 12) / 2).ok()?,
        };
        all.push(record.get(data..data.checked_add(len)?)?);
        data += len;
    }
    Some(all)
}

/// Returns a number of one to nine bytes, and how many they are.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for index in 0..8 {
        let byte = *bytes.get(at.checked_add(index)?)?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    let last = *bytes.get(at.checked_add(8)?)?;
    Some((value << 8 | u64::from(last), 9))
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let two: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(two)))
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_to_nine_bytes() {
        assert_eq!(varint(&[0x7f], 0), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00], 0), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9], 0), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8], 0), None);
    }

    #[test]
    fn what_is_no_database_is_none() {
        assert_eq!(blobs(b"", "Packages", 10), None);
        assert_eq!(blobs(b"SQLite format 3\0", "Packages", 10), None);
        let mut page = vec![0xff; 4096];
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..18].copy_from_slice(&[16, 0]);
        page[20] = 0;
        assert_eq!(blobs(&page, "Packages", 10), None);
    }
}
