// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Files with holes in a tar archive: where data is, and the map before it.
//!
//! Source: GNU tar manual, "PAX Format, Version 1.0": the map is a count and pairs of offset and
//! length, decimal, a line each, padded to a block; the data follows without the holes.

use std::io::{self, Write};
use std::ops::Range;

/// Bytes that are looked at together: all zeros, or data.
const UNIT: usize = 4096;
/// Shorter runs of zeros are data: each hole costs a line of the map.
const LEAST_HOLE: u64 = 64 << 10;
/// The most ranges of data: what comes after them is data, holes or not.
const MOST_RANGES: usize = 8192;

/// Files that are shorter have no holes worth a map.
pub(super) const LEAST_FILE: u64 = 2 * LEAST_HOLE;

/// Finds where the data is in what is written to it.
#[derive(Debug)]
pub(super) struct Finder {
    /// The most ranges.
    most: usize,
    at: u64,
    /// What is left of the last unit: how many bytes, and whether there is data in them.
    begun: usize,
    has_data: bool,
    ranges: Vec<Range<u64>>,
}

impl Default for Finder {
    fn default() -> Self {
        Self { most: MOST_RANGES, at: 0, begun: 0, has_data: false, ranges: Vec::new() }
    }
}

impl Finder {
    /// Returns the ranges with data, in order; `None` if there are no holes.
    pub(super) fn finish(mut self) -> Option<Vec<Range<u64>>> {
        if self.begun > 0 {
            self.unit();
        }
        let size = self.at;
        if let Some(last) = self.ranges.last_mut() {
            // A short hole at the end is data, too.
            if size.saturating_sub(last.end) < LEAST_HOLE {
                last.end = size;
            }
            last.end = last.end.min(size);
        }
        let data: u64 = self.ranges.iter().map(|range| range.end - range.start).sum();
        (data < size).then_some(self.ranges)
    }

    /// Takes the unit that is complete.
    fn unit(&mut self) {
        let len = u64::try_from(self.begun).expect("a unit is small");
        let (start, end) = (self.at, self.at + len);
        if self.has_data {
            let full = self.ranges.len() >= self.most;
            match self.ranges.last_mut() {
                Some(last) if full || start - last.end < LEAST_HOLE => last.end = end,
                // A short hole at the beginning.
                None if start < LEAST_HOLE => self.ranges.push(0..end),
                _ => self.ranges.push(start..end),
            }
        }
        (self.at, self.begun, self.has_data) = (end, 0, false);
    }
}

impl Write for Finder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(UNIT - self.begun)];
        self.has_data |= part.iter().any(|&byte| byte != 0);
        self.begun += part.len();
        if self.begun == UNIT {
            self.unit();
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the map of a file of `size` bytes with data in these ranges.
pub(super) fn map(ranges: &[Range<u64>], size: u64) -> Vec<u8> {
    let mut pairs: Vec<(u64, u64)> = ranges.iter().map(|r| (r.start, r.end - r.start)).collect();
    if ranges.last().is_none_or(|last| last.end < size) {
        // It says how long the file is.
        pairs.push((size, 0));
    }
    let lines = pairs.iter().map(|(at, len)| format!("{at}\n{len}\n"));
    let mut text = format!("{}\n{}", pairs.len(), lines.collect::<String>()).into_bytes();
    text.resize(text.len().next_multiple_of(512), 0);
    text
}

/// Hands on what is in the ranges, of a file that is written to it from its beginning.
pub(super) struct Data<'a> {
    ranges: &'a [Range<u64>],
    at: u64,
    out: &'a mut dyn Write,
}

impl<'a> Data<'a> {
    pub(super) fn new(ranges: &'a [Range<u64>], out: &'a mut dyn Write) -> Self {
        Self { ranges, at: 0, out }
    }
}

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let at = self.at;
        while self.ranges.first().is_some_and(|range| range.end <= at) {
            self.ranges = &self.ranges[1..];
        }
        let all = u64::try_from(bytes.len()).expect("a slice is shorter than 2^64 bytes");
        // Up to the next border, so that the part is all data or all hole.
        let (wanted, border) = match self.ranges.first() {
            None => (false, u64::MAX),
            Some(range) if at < range.start => (false, range.start),
            Some(range) => (true, range.end),
        };
        let len = all.min(border - at);
        let part = &bytes[..usize::try_from(len).expect("no longer than the slice")];
        if wanted {
            self.out.write_all(part)?;
        }
        self.at += len;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(pieces: &[(usize, u8)]) -> Option<Vec<(u64, u64)>> {
        let mut finder = Finder::default();
        for (len, byte) in pieces {
            finder.write_all(&vec![*byte; *len]).unwrap();
        }
        Some(finder.finish()?.iter().map(|range| (range.start, range.end)).collect())
    }

    #[test]
    fn long_runs_of_zeros_are_holes() {
        let hole = 1 << 20;
        assert_eq!(ranges(&[(hole, 1)]), None);
        assert_eq!(ranges(&[(hole, 0)]), Some(vec![]));
        assert_eq!(ranges(&[(100, 1), (hole, 0)]), Some(vec![(0, 4096)]));
        assert_eq!(ranges(&[(hole, 0), (100, 1)]), Some(vec![(1 << 20, (1 << 20) + 100)]));
        // Short ones are none: in the middle, at the beginning, at the end.
        assert_eq!(ranges(&[(100, 1), (60_000, 0), (100, 1)]), None);
        assert_eq!(ranges(&[(60_000, 0), (100, 1)]), None);
        assert_eq!(ranges(&[(100, 1), (60_000, 0)]), None);
        assert_eq!(ranges(&[]), None);
    }

    #[test]
    fn the_map_is_bounded_and_the_data_is_all_there() {
        let mut file = Vec::new();
        for n in 0..30_usize {
            file.resize(n * 70_000, 0);
            file.push(u8::try_from(n).unwrap() + 1);
        }
        let mut finder = Finder { most: 20, ..Finder::default() };
        finder.write_all(&file).unwrap();
        let found = finder.finish().unwrap();
        assert_eq!(found.len(), 20);
        let mut data = Vec::new();
        Data::new(&found, &mut data).write_all(&file).unwrap();
        let mut at = 0;
        for range in &found {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(data[at..at + range.len()] == file[range.clone()]);
            at += range.len();
        }
        assert_eq!(at, data.len());
        assert_eq!(data.iter().filter(|&&b| b != 0).count(), 30);
    }

    #[test]
    fn a_map_is_a_count_and_pairs() {
        let one = map(&[0..4096, 8192..8200], 8200);
        assert_eq!(one.len(), 512);
        assert!(one.starts_with(b"2\n0\n4096\n8192\n8\n\0"));
        assert!(map(&[], 1 << 20).starts_with(b"1\n1048576\n0\n\0"));
    }
}
