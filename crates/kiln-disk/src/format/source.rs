// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file that is looked at: its size, its beginning, its parts.

use std::io::{self, Read, Seek, SeekFrom};

use kiln_spec::Bytes;

use super::FormatError;

/// How much of the beginning tells what a file is: up to btrfs's superblock at 64 KiB.
const HEAD: u64 = 68 << 10;

/// The bytes that are read at once of a long table.
const CHUNK: u64 = 64 << 10;

/// A file with its name and size.
#[derive(Debug)]
pub(super) struct Source<'a, F> {
    file: &'a mut F,
    /// What errors call it.
    pub(super) name: &'a str,
    /// Its size in bytes.
    pub(super) size: u64,
}

impl<'a, F: Read + Seek> Source<'a, F> {
    pub(super) fn new(file: &'a mut F, name: &'a str) -> Result<Self, FormatError> {
        let size = file
            .seek(SeekFrom::End(0))
            .map_err(|source| FormatError::Io { name: name.to_owned(), source })?;
        Ok(Self { file, name, size })
    }

    fn io(&self, source: io::Error) -> FormatError {
        FormatError::Io { name: self.name.to_owned(), source }
    }

    /// Returns the file's beginning, shorter only if the file is.
    pub(super) fn head(&mut self) -> Result<Vec<u8>, FormatError> {
        self.read(0, HEAD.min(self.size))
    }

    /// Returns `len` bytes from `at` on.
    pub(super) fn read(&mut self, at: u64, len: u64) -> Result<Vec<u8>, FormatError> {
        self.within(at, len)?;
        let len = usize::try_from(len).expect("no more than a table of some MiB is asked for");
        let mut out = vec![0; len];
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut out));
        read.map_err(|error| self.io(error))?;
        Ok(out)
    }

    /// Checks that `len` bytes from `at` on are in the file.
    pub(super) fn within(&self, at: u64, len: u64) -> Result<(), FormatError> {
        let end = at.saturating_add(len);
        match end.checked_sub(self.size) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(self.truncated(missing)),
        }
    }

    pub(super) fn truncated(&self, missing: u64) -> FormatError {
        FormatError::Truncated { name: self.name.to_owned(), missing: Bytes(missing) }
    }

    /// Calls `each` for the `count` 64-bit numbers, big end first, from `at` on.
    pub(super) fn numbers(
        &mut self,
        at: u64,
        count: u64,
        mut each: impl FnMut(u64) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let end = at.saturating_add(count.saturating_mul(8));
        let mut next = at;
        while next < end {
            let part = self.read(next, CHUNK.min(end - next))?;
            for number in part.as_chunks::<8>().0 {
                each(u64::from_be_bytes(*number))?;
            }
            next += CHUNK.min(end - next);
        }
        Ok(())
    }
}
