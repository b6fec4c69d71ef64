// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Contents of the files that a program opened, one behind the other in a file of the host.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Runs of zeros of this length and place become holes.
const BLOCK: usize = 4096;

/// Contents by a node's number.
#[derive(Debug)]
pub(super) struct Contents {
    store: File,
    end: u64,
    places: HashMap<u64, (u64, u64)>,
    /// Of those with holes the ranges that are none, in order.
    data: HashMap<u64, Vec<Range<u64>>>,
}

impl Contents {
    /// Keeps contents in `store`, which is empty.
    pub(super) fn new(store: File) -> Self {
        Self { store, end: 0, places: HashMap::new(), data: HashMap::new() }
    }

    /// Returns whether a node's contents are kept.
    pub(super) fn has(&self, node: u64) -> bool {
        self.places.contains_key(&node)
    }

    /// Keeps what `write` writes as a node's contents.
    pub(super) fn keep(
        &mut self,
        node: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut appender = Appender { store: &self.store, at: self.end };
        let written = write(&mut appender);
        let end = appender.at;
        if written.is_ok() {
            self.places.insert(node, (self.end, end - self.end));
        }
        // What a failed write left is never used again: later zeros may not fall upon it.
        self.end = end.next_multiple_of(u64::try_from(BLOCK).map_err(io::Error::other)?);
        written
    }

    /// Takes note of the ranges of a node's contents that are no holes.
    pub(super) fn tell(&mut self, node: u64, ranges: Vec<Range<u64>>) {
        self.data.insert(node, ranges);
    }

    /// Returns where the next data of a node begins, from `offset` on; `None` if there is none.
    pub(super) fn next_data(&self, node: u64, offset: u64) -> Option<u64> {
        self.next(node, offset).map(|range| range.start.max(offset))
    }

    /// Returns where the next hole of a node begins, from `offset` on: at its end if there is no
    /// other. `None` behind that.
    pub(super) fn next_hole(&self, node: u64, offset: u64) -> Option<u64> {
        let (_, length) = *self.places.get(&node)?;
        let hole = match self.next(node, offset) {
            Some(range) if range.start <= offset => range.end.min(length),
            _ => offset,
        };
        (offset < length).then_some(hole)
    }

    /// Returns the range of data that `offset` is in, or else the next one.
    fn next(&self, node: u64, offset: u64) -> Option<Range<u64>> {
        let (_, length) = *self.places.get(&node)?;
        let next = match self.data.get(&node) {
            None => Some(0..length),
            Some(all) => all.get(all.partition_point(|range| range.end <= offset)).cloned(),
        };
        next.filter(|_| offset < length)
    }

    /// Returns up to `size` bytes of a node's contents from `offset` on.
    pub(super) fn read(&self, node: u64, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let (start, length) = *self.places.get(&node).ok_or(io::ErrorKind::NotFound)?;
        let length = u64::from(size).min(length.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let mut done = 0;
        while done < bytes.len() {
            let at = start + offset + u64::try_from(done).map_err(io::Error::other)?;
            match self.store.read_at(&mut bytes[done..], at)? {
                // Zeros at the very end were not written.
                0 => break,
                n => done += n,
            }
        }
        Ok(bytes)
    }
}

struct Appender<'a> {
    store: &'a File,
    at: u64,
}

impl Write for Appender<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // To the next whole block, so that zeros become holes.
        let at = usize::try_from(self.at % 4096).map_err(io::Error::other)?;
        let piece = &buf[..buf.len().min(BLOCK * 16 - at)];
        if piece.iter().any(|b| *b != 0) {
            self.store.write_all_at(piece, self.at)?;
        }
        self.at += u64::try_from(piece.len()).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_kept_apart() {
        let mut contents = Contents::new(tempfile::tempfile().unwrap());
        contents.keep(7, |out| out.write_all(b"seven")).unwrap();
        contents.keep(8, |out| out.write_all(&[0; 100_000])).unwrap();
        contents.keep(9, |out| out.write_all(&[9; 100_000])).unwrap();
        assert!(contents.keep(10, |_| Err(io::ErrorKind::Other.into())).is_err());
        assert_eq!(contents.read(7, 1, 100).unwrap(), b"even");
        assert_eq!(contents.read(8, 99_990, 100).unwrap(), [0; 10]);
        assert_eq!(contents.read(9, 0, 1 << 20).unwrap(), vec![9; 100_000]);
        assert_eq!(contents.read(7, 50, 10).unwrap(), b"");
        assert!(contents.has(9) && !contents.has(10));
        // Without other word all is data, zeros too.
        let both = |contents: &Contents, node, at| {
            (contents.next_data(node, at), contents.next_hole(node, at))
        };
        assert_eq!(both(&contents, 8, 5), (Some(5), Some(100_000)));
        assert_eq!(both(&contents, 8, 100_000), (None, None));
        assert_eq!(both(&contents, 10, 0), (None, None));
        contents.tell(8, vec![4096..8192, 90_000..100_000]);
        assert_eq!(both(&contents, 8, 0), (Some(4096), Some(0)));
        assert_eq!(both(&contents, 8, 5000), (Some(5000), Some(8192)));
        assert_eq!(both(&contents, 8, 8192), (Some(90_000), Some(8192)));
        assert_eq!(both(&contents, 8, 99_999), (Some(99_999), Some(100_000)));
        contents.tell(8, vec![]);
        assert_eq!(both(&contents, 8, 7), (None, Some(7)));
    }
}
