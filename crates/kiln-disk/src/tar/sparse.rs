// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Members whose holes were cut out: where their data lies.
//!
//! Source: GNU tar manual, "Storing Sparse Files" (PAX 0.1 and 1.0) and "Basic Tar Format"
//! (type `S`). PAX 0.0, which no tar has written by default since 2005, is refused.

use std::collections::VecDeque;

use super::header::Block;
use super::pax::Records;

/// The most runs of data of one file.
pub(super) const MOST_RUNS: usize = 1 << 18;

/// The most bytes of a file with holes: whoever reads them as zeros must come to an end.
pub(super) const MOST_SIZE: u64 = 1 << 40;

/// What of a file is data: the rest is holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// Where each run begins, and how long it is; in order.
    runs: VecDeque<(u64, u64)>,
    /// Where the next byte of the file is.
    at: u64,
    /// Bytes of the whole file.
    size: u64,
}

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This many bytes are zeros.
    Hole(u64),
    /// This many bytes are in the archive.
    Data(u64),
}

impl Map {
    /// Checks the runs of a file of `size` bytes, of which the archive has `stored`; `None` if
    /// they cannot be.
    pub(super) fn new(runs: Vec<(u64, u64)>, size: u64, stored: u64) -> Option<Self> {
        let (mut end, mut sum) = (0_u64, 0_u64);
        for &(start, len) in &runs {
            if start < end {
                return None;
            }
            end = start.checked_add(len)?;
            sum = sum.checked_add(len)?;
        }
        let runs = runs.into_iter().filter(|&(_, len)| len > 0).collect();
        (end <= size && size <= MOST_SIZE && sum == stored).then_some(Self { runs, at: 0, size })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns what comes next; a hole or data of no bytes at the end.
    pub(super) fn next(&self) -> Next {
        match self.runs.front() {
            Some(&(start, _)) if start > self.at => Next::Hole(start - self.at),
            Some(&(start, len)) => Next::Data(start + len - self.at),
            None => Next::Hole(self.size - self.at),
        }
    }

    /// Goes on by `len` bytes, which are not more than [`Map::next`] said.
    pub(super) fn advance(&mut self, len: u64) {
        self.at += len;
        if self.runs.front().is_some_and(|&(start, len)| start + len <= self.at) {
            self.runs.pop_front();
        }
    }
}

/// What the records of PAX say of a sparse file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Its real name, if that is not in `path`.
    pub(super) name: Option<Vec<u8>>,
    /// Its real size.
    pub(super) size: u64,
    /// The runs; `None` if they stand before the contents.
    pub(super) runs: Option<Vec<(u64, u64)>>,
}

/// Reads the records of a sparse file; `None` if they are wrong or of version 0.0.
pub(super) fn told(records: &Records) -> Option<Told> {
    let text = |key: &str| records.get(key).and_then(|value| std::str::from_utf8(value).ok());
    let name = records.get("GNU.sparse.name").map(<[u8]>::to_vec);
    let size = text("GNU.sparse.realsize").or_else(|| text("GNU.sparse.size"))?.parse().ok()?;
    if text("GNU.sparse.major") == Some("1") {
        return (text("GNU.sparse.minor") == Some("0")).then_some(Told { name, size, runs: None });
    }
    let map = text("GNU.sparse.map")?;
    let numbers: Vec<u64> =
        map.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    Some(Told { name, size, runs: Some(pairs(&numbers)?) })
}

fn pairs(numbers: &[u64]) -> Option<Vec<(u64, u64)>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    (rest.is_empty() && pairs.len() <= MOST_RUNS)
        .then(|| pairs.iter().map(|&[start, len]| (start, len)).collect())
}

/// The runs as PAX 1.0 writes them before the contents: decimal numbers, one a line, the count
/// first.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    count: Option<usize>,
    numbers: Vec<u64>,
    digits: Vec<u8>,
}

impl Lines {
    /// Takes one more block; `None` if there is a line that is no number, or there are too many.
    /// Returns whether more are needed.
    pub(super) fn take(&mut self, block: &Block) -> Option<bool> {
        for &byte in block {
            if !self.wants() {
                break;
            }
            match byte {
                b'0'..=b'9' if self.digits.len() < 20 => self.digits.push(byte),
                b'\n' => {
                    let number: u64 = std::str::from_utf8(&self.digits).ok()?.parse().ok()?;
                    self.digits.clear();
                    match self.count {
                        Some(_) => self.numbers.push(number),
                        None => {
                            let count = usize::try_from(number).ok()?;
                            self.count = Some(count).filter(|&count| count <= MOST_RUNS);
                            self.count?;
                        }
                    }
                }
                _ => return None,
            }
        }
        Some(self.wants())
    }

    fn wants(&self) -> bool {
        self.count.is_none_or(|count| self.numbers.len() < 2 * count)
    }

    pub(super) fn runs(&self) -> Option<Vec<(u64, u64)>> {
        pairs(&self.numbers)
    }
}

/// Reads the runs of GNU's old format out of a header, or of a block that goes on with them:
/// `at` is where the first is, `most` how many there can be. Returns whether a block follows.
pub(super) fn old(
    block: &Block,
    (at, most, more): (usize, usize, usize),
    runs: &mut Vec<(u64, u64)>,
) -> Option<bool> {
    for entry in block[at..at + 24 * most].chunks_exact(24) {
        let (start, len) = (&entry[..12], &entry[12..]);
        if start.iter().all(|&b| b == 0) && len.iter().all(|&b| b == 0) {
            break;
        }
        let number = |field| u64::try_from(super::header::number(field)?).ok();
        runs.push((number(start)?, number(len)?));
        if runs.len() > MOST_RUNS {
            return None;
        }
    }
    Some(block[more] != 0)
}

/// Where the header of GNU's old format has its runs: the first, how many, and whether there are
/// more.
pub(super) const IN_HEADER: (usize, usize, usize) = (386, 4, 482);
/// The same in a block that goes on.
pub(super) const IN_BLOCK: (usize, usize, usize) = (0, 21, 504);

/// Returns the real size in a header of GNU's old format.
pub(super) fn old_size(block: &Block) -> Option<u64> {
    u64::try_from(super::header::number(&block[483..495])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_in_order_and_within_the_file() {
        assert!(Map::new(vec![(0, 4), (8, 4)], 12, 8).is_some());
        for (runs, size, stored) in [
            (vec![(0, 4), (3, 4)], 12, 8),
            (vec![(0, 4)], 3, 4),
            (vec![(0, 4)], 12, 5),
            (vec![(u64::MAX, 4)], 12, 4),
            (vec![(0, 4)], MOST_SIZE + 1, 4),
        ] {
            assert_eq!(Map::new(runs.clone(), size, stored), None, "{runs:?}");
        }
    }

    #[test]
    fn a_map_tells_holes_and_data() {
        let mut map = Map::new(vec![(2, 3), (5, 1), (9, 0)], 9, 4).unwrap();
        let mut seen = Vec::new();
        loop {
            let (Next::Hole(len) | Next::Data(len)) = map.next();
            if len == 0 {
                break;
            }
            seen.push(map.next());
            map.advance(len);
        }
        assert_eq!(seen, [Next::Hole(2), Next::Data(3), Next::Data(1), Next::Hole(3)]);
    }

    #[test]
    fn lines_of_numbers_only() {
        let block = |text: &str| {
            let mut block: Block = [0; 512];
            block[..text.len()].copy_from_slice(text.as_bytes());
            block
        };
        let mut lines = Lines::default();
        assert_eq!(lines.take(&block("2\n0\n512\n4096\n1\n")), Some(false));
        assert_eq!(lines.runs(), Some(vec![(0, 512), (4096, 1)]));
        for wrong in ["x\n", "99999999999\n", "1\n-1\n", "1\n99999999999999999999999\n", "1 2\n"] {
            assert_eq!(Lines::default().take(&block(wrong)), None, "{wrong:?}");
        }
    }
}
