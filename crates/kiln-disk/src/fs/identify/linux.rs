// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file systems of Linux itself, and swap space.

use std::io;

use super::{Content, ContentKind, Probe, text, utf16};
use crate::le::{u16_or_zero, u32_or_zero};

/// Where the superblock of ext, F2FS and EROFS is.
const SUPERBLOCK: u64 = 1024;

pub(super) fn ext(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    const HAS_JOURNAL: u32 = 4;
    const JOURNAL_DEVICE: u32 = 8;
    // What ext2 and ext3 can have: sparse_super, large_file, dir_index of old; filetype, meta_bg,
    // and for ext3 needs_recovery.
    const OLD_RO_COMPAT: u32 = 7;
    const EXT2_INCOMPAT: u32 = 0x12;
    const EXT3_INCOMPAT: u32 = 0x16;
    let found = probe.with_magic((SUPERBLOCK, 1024), 56, &[0x53, 0xef])?;
    let Some(block) =
        found.filter(|block| u32_or_zero(block, 24) <= 6 && u32_or_zero(block, 4) != 0)
    else {
        return Ok(None);
    };
    let (compat, incompat, ro) =
        (u32_or_zero(&block, 0x5c), u32_or_zero(&block, 0x60), u32_or_zero(&block, 0x64));
    let old = ro & !OLD_RO_COMPAT == 0;
    let kind = if incompat & JOURNAL_DEVICE != 0 {
        ContentKind::ExtJournal
    } else if compat & HAS_JOURNAL == 0 && old && incompat & !EXT2_INCOMPAT == 0 {
        ContentKind::Ext2
    } else if compat & HAS_JOURNAL != 0 && old && incompat & !EXT3_INCOMPAT == 0 {
        ContentKind::Ext3
    } else {
        ContentKind::Ext4
    };
    let content = Content::bare(kind).uuid(&block[0x68..0x78]).label(text(&block[0x78..0x88]));
    Ok(Some(content))
}

pub(super) fn xfs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let found = probe.with_magic((0, 512), 0, b"XFSB")?;
    Ok(found.map(|block| {
        Content::bare(ContentKind::Xfs).uuid(&block[32..48]).label(text(&block[108..120]))
    }))
}

pub(super) fn btrfs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let found = probe.with_magic((64 << 10, 4096), 0x40, b"_BHRfS_M")?;
    Ok(found.map(|block| {
        Content::bare(ContentKind::Btrfs).uuid(&block[0x20..0x30]).label(text(&block[0x12b..0x22b]))
    }))
}

pub(super) fn f2fs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let found = probe.with_magic((SUPERBLOCK, 2048), 0, &0xf2f5_2010_u32.to_le_bytes())?;
    Ok(found.map(|block| {
        Content::bare(ContentKind::F2fs).uuid(&block[108..124]).label(utf16(&block[124..1148]))
    }))
}

pub(super) fn erofs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let found = probe.with_magic((SUPERBLOCK, 128), 0, &0xe0f5_e1e2_u32.to_le_bytes())?;
    Ok(found.map(|block| {
        Content::bare(ContentKind::Erofs).uuid(&block[48..64]).label(text(&block[64..80]))
    }))
}

pub(super) fn squashfs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    // Only version 4, which has had the low byte first since 2009.
    let found = probe.with_magic((0, 96), 0, b"hsqs")?;
    let content = Content::bare(ContentKind::Squashfs);
    Ok(found.filter(|block| u16_or_zero(block, 28) == 4).map(|_| content))
}

pub(super) fn swap(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    // The magic number ends the first page, whatever a page is on that machine.
    const PAGES: [u64; 5] = [4096, 8192, 16_384, 32_768, 65_536];
    for page in PAGES {
        let found = probe.with_magic((page - 10, 10), 0, b"SWAPSPACE2")?;
        if found.is_some() {
            let Some(block) = probe.bytes(1024, 64)? else { continue };
            let content = Content::bare(ContentKind::Swap);
            return Ok(Some(content.uuid(&block[12..28]).label(text(&block[28..44]))));
        }
    }
    Ok(None)
}
