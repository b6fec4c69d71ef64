// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The journal of a file system that was not unmounted: what Linux would do at the next mount.
//!
//! [`recover`] finds the transactions that were committed and brings their blocks to where they
//! belong: for writing onto the device, for reading by [`Replayed`], which leaves the device as it
//! is. A journal that is damaged, or has what is not known here, is refused: a tree read without
//! it would be the one of some moment before.

mod log;
mod replayed;
mod superblock;

use std::collections::BTreeMap;
use std::io;

use self::log::Log;
use self::replayed::Replayed;
use self::superblock::Superblock;
use super::ExtError;
use super::raw::Raw;
use crate::device::{Device, len64};

/// `JBD2_MAGIC_NUMBER`, as the first bytes of each block of the journal's own.
const MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];
/// The most blocks of a journal: 16 GiB of 4 KiB, far more than `mke2fs` makes.
const MOST_BLOCKS: u64 = 4 << 20;

/// Where the contents of a block of the file system stand: the block of the device, in the
/// journal, and whether its first bytes have been taken for [`MAGIC`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copied {
    block: u64,
    escaped: bool,
}

/// What the journal holds, by the block that it belongs to.
type Blocks = BTreeMap<u64, Copied>;

/// The parts of the file system's superblock that matter before it is opened.
///
/// Source: `struct ext2_super_block` in `ext2fs/ext2_fs.h`.
struct Head {
    block_size: u64,
    blocks: u64,
    journal_inode: u32,
}

impl Head {
    /// Returns it if there is a file system that needs its journal.
    fn read(device: &mut dyn Device) -> Result<Option<Self>, ExtError> {
        const AT: u64 = 1024;
        const HAS_JOURNAL: u32 = 0x4;
        const NEEDS_RECOVERY: u32 = 0x4;
        let mut bytes = [0; 1024];
        if device.size() < AT + len64(&bytes) {
            return Ok(None);
        }
        device.read_at(AT, &mut bytes).map_err(|source| failed("read the superblock", source))?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let ours = bytes[0x38..0x3a] == [0x53, 0xef] && word(0x18) <= 6;
        if !ours || word(0x5c) & HAS_JOURNAL == 0 || word(0x60) & NEEDS_RECOVERY == 0 {
            return Ok(None);
        }
        let high = if word(0x60) & 0x80 == 0 { 0 } else { u64::from(word(0x150)) << 32 };
        Ok(Some(Self {
            block_size: 1024 << word(0x18),
            blocks: u64::from(word(0x04)) | high,
            journal_inode: word(0xe0),
        }))
    }
}

/// Returns `device` as it is after its journal has been replayed.
///
/// With `write` the blocks go onto the device and the journal is emptied; without, the device is
/// not written to. That the file system needs its journal stays noted in its superblock.
///
/// # Errors
///
/// [`ExtError::Journal`] if it cannot be replayed.
pub(super) fn recover(
    mut device: Box<dyn Device>,
    write: bool,
) -> Result<Box<dyn Device>, ExtError> {
    let Some(head) = Head::read(&mut *device)? else { return Ok(device) };
    if head.journal_inode == 0 {
        return Err(refused("it is on another device"));
    }
    let raw = Raw::open(device, false)?;
    let places = places(&raw, &head)?;
    let mut device = raw.into_device()?;
    let first = places.first().copied().ok_or_else(|| refused("it is empty"))?;
    let mut superblock = Superblock::read(&mut *device, first, &head)?;
    if u64::from(superblock.len) > len64_of(&places) {
        return Err(refused("it is longer than the file that holds it"));
    }
    if superblock.error != 0 && write {
        return Err(ExtError::ReadOnly { why: "errors are noted in its journal".to_owned() });
    }
    if superblock.start == 0 {
        return Ok(device);
    }
    let mut log = Log::new(&mut *device, &superblock, &places, &head);
    let end = log.scan()?;
    let blocks = log.replay(end)?;
    if !write {
        return Ok(Box::new(Replayed::new(device, head.block_size, blocks)));
    }
    apply(&mut *device, &head, &blocks)?;
    superblock.empty(&mut *device, first, end.wrapping_add(1))?;
    Ok(device)
}

fn len64_of(places: &[u64]) -> u64 {
    u64::try_from(places.len()).unwrap_or(u64::MAX)
}

/// Returns the block of the device for each block of the journal.
fn places(raw: &Raw, head: &Head) -> Result<Vec<u64>, ExtError> {
    let mut inode = raw.read_inode(head.journal_inode)?;
    let blocks = inode.size() / head.block_size;
    if blocks > MOST_BLOCKS || blocks > head.blocks {
        return Err(refused("it is larger than the file system"));
    }
    let mut places = Vec::new();
    while len64_of(&places) < blocks {
        let at = len64_of(&places);
        let mapped = raw.map(head.journal_inode, &mut inode, at)?;
        let mapped = mapped.ok_or_else(|| refused("it has holes"))?;
        let count = mapped.count.min(blocks - at);
        let end = mapped.block.checked_add(count).filter(|&end| end <= head.blocks);
        end.ok_or_else(|| refused("it lies outside the file system"))?;
        places.extend(mapped.block..mapped.block + count);
    }
    Ok(places)
}

/// Copies blocks from the journal to where they belong.
fn apply(device: &mut dyn Device, head: &Head, blocks: &Blocks) -> Result<(), ExtError> {
    let doing = "replay the journal";
    let len = usize::try_from(head.block_size).expect("a block has at most 64 KiB");
    let mut bytes = vec![0; len];
    for (&to, copied) in blocks {
        let read = device.read_at(copied.block * head.block_size, &mut bytes);
        read.map_err(|source| failed(doing, source))?;
        if copied.escaped {
            bytes[..4].copy_from_slice(&MAGIC);
        }
        let written = device.write_at(to * head.block_size, &bytes);
        written.map_err(|source| failed(doing, source))?;
    }
    device.flush().map_err(|source| failed(doing, source))
}

fn failed(doing: &'static str, source: io::Error) -> ExtError {
    ExtError::Io { doing, source }
}

fn refused(why: &'static str) -> ExtError {
    ExtError::Journal { why }
}
