// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file format of a journal.
//!
//! Numbers have their low end first. A head of 48 bytes: `KILNREDO`, the version 1 and 0 (32 bits
//! each), the image's inode number, its size before and after (64 bits each), 0 and a sum (32 bits
//! each). Then records: kind, sum (32 bits each), first byte, number of bytes (64 bits each), and
//! for data the sums of its sectors as they were (32 bits each) and the bytes as they are to be.
//! Kinds: 1 data, 2 zeros, 3 the end, whose first byte is the number of records. Each sum is the
//! CRC-32 of the sum before it and the record.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::FileExt;

use crate::device::len64;
use crate::le::{u32_at, u64_at};

/// The unit in which a disk is written at once.
pub(super) const SECTOR: usize = 512;

const MAGIC: &[u8; 8] = b"KILNREDO";
const VERSION: u32 = 1;
const HEAD: usize = 48;
const RECORD: usize = 24;

const DATA: u32 = 1;
const ZEROS: u32 = 2;
const END: u32 = 3;

/// The most bytes of one record of data.
const MOST_DATA: u64 = 4 << 20;

/// What a journal is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) inode: u64,
    pub(super) old_size: u64,
    pub(super) new_size: u64,
}

impl Head {
    /// Returns the sizes that the image may have.
    pub(super) fn sizes(&self) -> [u64; 2] {
        [self.old_size, self.new_size]
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Bytes that are to be zeros.
    Zeros {
        /// The first.
        at: u64,
        /// How many.
        len: u64,
    },
    /// Bytes that are to be others.
    Data {
        /// The first.
        at: u64,
        /// The sums of the sectors as they were.
        old: Vec<u32>,
        /// The bytes to be.
        bytes: Vec<u8>,
    },
}

/// Returns the sum of a record after the record whose sum is `before`.
fn sum(before: u32, kind: u32, at: u64, len: u64, rest: &[&[u8]]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&before.to_le_bytes());
    hash.update(&kind.to_le_bytes());
    hash.update(&at.to_le_bytes());
    hash.update(&len.to_le_bytes());
    for bytes in rest {
        hash.update(bytes);
    }
    hash.finalize()
}

/// Writes a journal.
#[derive(Debug)]
pub(super) struct Writer {
    file: BufWriter<File>,
    sum: u32,
    records: u64,
}

impl Writer {
    pub(super) fn new(file: File, inode: u64, old_size: u64, new_size: u64) -> io::Result<Self> {
        let mut head = Vec::with_capacity(HEAD);
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend([0; 4]);
        for number in [inode, old_size, new_size] {
            head.extend(number.to_le_bytes());
        }
        head.extend([0; 4]);
        let sum = crc32fast::hash(&head);
        head.extend(sum.to_le_bytes());
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&head)?;
        Ok(Self { file, sum, records: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    fn record(&mut self, kind: u32, at: u64, len: u64, rest: &[&[u8]]) -> io::Result<()> {
        self.sum = sum(self.sum, kind, at, len, rest);
        self.file.write_all(&kind.to_le_bytes())?;
        self.file.write_all(&self.sum.to_le_bytes())?;
        self.file.write_all(&at.to_le_bytes())?;
        self.file.write_all(&len.to_le_bytes())?;
        rest.iter().try_for_each(|bytes| self.file.write_all(bytes))?;
        self.records += 1;
        Ok(())
    }

    pub(super) fn zeros(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.record(ZEROS, at, len, &[])
    }

    /// Adds bytes, which were `old` so far.
    pub(super) fn data(&mut self, at: u64, old: &[u8], new: &[u8]) -> io::Result<()> {
        let sums = old.chunks(SECTOR).flat_map(|sector| crc32fast::hash(sector).to_le_bytes());
        let sums: Vec<u8> = sums.collect();
        self.record(DATA, at, len64(new), &[&sums, new])
    }

    /// Writes the end and returns the file.
    pub(super) fn finish(mut self, durable: bool) -> io::Result<File> {
        self.file.flush()?;
        if durable {
            self.file.get_ref().sync_data()?;
        }
        // The end comes when all the rest is there.
        self.record(END, self.records, 0, &[])?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if durable {
            file.sync_data()?;
        }
        Ok(file)
    }
}

/// Reads a journal.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a File,
    at: u64,
    size: u64,
    sum: u32,
    records: u64,
    head: Head,
}

fn incomplete() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the journal is not whole")
}

impl<'a> Reader<'a> {
    /// Reads the head. An error of the kind [`ErrorKind::InvalidData`] says that it is not whole.
    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut bytes = [0; HEAD];
        if size < len64(&bytes) {
            return Err(incomplete());
        }
        file.read_exact_at(&mut bytes, 0)?;
        let sum = u32_at(&bytes, 44);
        let good = bytes.starts_with(MAGIC) && u32_at(&bytes, 8) == VERSION;
        if !good || crc32fast::hash(&bytes[..44]) != sum {
            return Err(incomplete());
        }
        let head = Head {
            inode: u64_at(&bytes, 16),
            old_size: u64_at(&bytes, 24),
            new_size: u64_at(&bytes, 32),
        };
        Ok(Self { file, at: len64(&bytes), size, sum, records: 0, head })
    }

    /// Reads all of a journal and returns its head, or `None` if it has no end.
    pub(super) fn complete(file: &File) -> io::Result<Option<Head>> {
        let read = || -> io::Result<Head> {
            let mut reader = Reader::new(file)?;
            while reader.next()?.is_some() {}
            Ok(reader.head)
        };
        match read() {
            Ok(head) => Ok(Some(head)),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, len: u64) -> io::Result<Vec<u8>> {
        if len > self.size - self.at {
            return Err(incomplete());
        }
        let mut bytes = vec![0; usize::try_from(len).expect("a record has some MiB at most")];
        self.file.read_exact_at(&mut bytes, self.at)?;
        self.at += len;
        Ok(bytes)
    }

    /// Returns the next record, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        let head = self.take(RECORD as u64)?;
        let (kind, expected) = (u32_at(&head, 0), u32_at(&head, 4));
        let (at, len) = (u64_at(&head, 8), u64_at(&head, 16));
        let most = self.head.old_size.max(self.head.new_size);
        if kind != END && at.checked_add(len).is_none_or(|end| end > most) {
            return Err(incomplete());
        }
        let (sums, bytes) = match kind {
            DATA if len <= MOST_DATA => {
                (self.take(len.div_ceil(SECTOR as u64) * 4)?, self.take(len)?)
            }
            ZEROS | END => (Vec::new(), Vec::new()),
            _ => return Err(incomplete()),
        };
        let rest: &[&[u8]] = if kind == DATA { &[&sums, &bytes] } else { &[] };
        self.sum = sum(self.sum, kind, at, len, rest);
        if self.sum != expected || (kind == END && at != self.records) {
            return Err(incomplete());
        }
        self.records += 1;
        Ok(match kind {
            END => None,
            ZEROS => Some(Record::Zeros { at, len }),
            _ => {
                let old = sums.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
                Some(Record::Data { at, old, bytes })
            }
        })
    }
}
