// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the blocks of an overlay are: in memory, and beyond some tens of MiB in a sparse file
//! without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Bytes of a block.
pub(super) const BLOCK: usize = 4096;

/// Blocks of one piece of memory: 1 MiB.
const PIECE: usize = 256;

/// Pieces of memory before the file is used.
const MOST_PIECES: usize = 48;

/// Where a temporary file goes if its proper folder cannot be written.
const ELSEWHERE: &str = "/var/tmp";

/// A block's place in a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Slot {
    /// Returns whether `other` lies directly after this one, in the same medium.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.0 + 1 == other.0 && !other.0.is_multiple_of(PIECE)
    }
}

/// The blocks.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    pieces: Vec<Box<[u8]>>,
    file: Option<File>,
    used: usize,
    free: Vec<Slot>,
}

impl Store {
    /// Returns an empty one whose file, if it needs one, is in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, pieces: Vec::new(), file: None, used: 0, free: Vec::new() }
    }

    /// Returns a place for one more block, which holds anything.
    pub(super) fn allocate(&mut self) -> io::Result<Slot> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let piece = self.used / PIECE;
        if piece < MOST_PIECES {
            if piece == self.pieces.len() {
                self.pieces.push(vec![0; PIECE * BLOCK].into_boxed_slice());
            }
        } else if self.file.is_none() {
            let file = tempfile::tempfile_in(&self.folder);
            self.file = Some(file.or_else(|_| tempfile::tempfile_in(ELSEWHERE))?);
        }
        self.used += 1;
        Ok(Slot(self.used - 1))
    }

    /// Forgets all blocks.
    pub(super) fn clear(&mut self) {
        let folder = std::mem::take(&mut self.folder);
        *self = Self::new(folder);
    }

    /// Gives a block's place back.
    pub(super) fn release(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// Fills `buf` from byte `within` of `slot` on; may go on into the blocks after it, as far as
    /// [`Slot::is_before`] says.
    pub(super) fn read(&self, slot: Slot, within: usize, buf: &mut [u8]) -> io::Result<()> {
        match self.pieces.get(slot.0 / PIECE) {
            Some(piece) => {
                let at = slot.0 % PIECE * BLOCK + within;
                buf.copy_from_slice(&piece[at..at + buf.len()]);
                Ok(())
            }
            None => self.file()?.read_exact_at(buf, offset(slot, within)),
        }
    }

    /// Writes `bytes` from byte `within` of `slot` on, like [`Store::read`].
    pub(super) fn write(&mut self, slot: Slot, within: usize, bytes: &[u8]) -> io::Result<()> {
        match self.pieces.get_mut(slot.0 / PIECE) {
            Some(piece) => {
                let at = slot.0 % PIECE * BLOCK + within;
                piece[at..at + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            None => self.file()?.write_all_at(bytes, offset(slot, within)),
        }
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn offset(slot: Slot, within: usize) -> u64 {
    let at = (slot.0 - MOST_PIECES * PIECE) * BLOCK + within;
    u64::try_from(at).expect("usize has at most 64 bits")
}
