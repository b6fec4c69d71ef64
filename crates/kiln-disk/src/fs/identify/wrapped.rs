// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What wraps a file system: RAID, volumes, encryption, pools.

use std::io;

use super::{Content, ContentKind, Probe, text};
use crate::le::{u16_or_zero, u32_or_zero, u64_or_zero};

/// The magic number of md's superblock, all versions.
const MD: [u8; 4] = 0xa92b_4efc_u32.to_le_bytes();

pub(super) fn mdraid(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let size = probe.device.size();
    // Version 1.0 is 8 KiB before the end, 1.1 at the beginning, 1.2 at 4 KiB.
    let end = (size / 512).checked_sub(16).map(|sector| sector / 8 * 8 * 512);
    for at in [end, Some(0), Some(4096)].into_iter().flatten() {
        let found = probe.with_magic((at, 256), 0, &MD)?;
        // The superblock says where it is itself, in sectors.
        if let Some(block) =
            found.filter(|b| u32_or_zero(b, 4) == 1 && u64_or_zero(b, 144) == at / 512)
        {
            let content = Content::bare(ContentKind::Mdraid);
            return Ok(Some(content.uuid(&block[16..32]).label(text(&block[32..64]))));
        }
    }
    // Version 0.90 is in the last whole 64 KiB.
    let Some(at) = (size / (64 << 10)).checked_sub(1) else { return Ok(None) };
    let found = probe.with_magic((at * (64 << 10), 256), 0, &MD)?;
    let Some(block) =
        found.filter(|block| u32_or_zero(block, 4) == 0 && u32_or_zero(block, 8) == 90)
    else {
        return Ok(None);
    };
    let uuid = [&block[20..24], &block[52..64]].concat();
    Ok(Some(Content::bare(ContentKind::Mdraid).uuid(&uuid)))
}

pub(super) fn lvm(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    for sector in 0..4 {
        let found = probe.with_magic((sector * 512, 512), 0, b"LABELONE")?;
        let Some(label) = found.filter(|label| label[24..].starts_with(b"LVM2 001")) else {
            continue;
        };
        let at = usize::try_from(u32_or_zero(&label, 20)).unwrap_or(usize::MAX);
        let id = at.checked_add(32).and_then(|end| label.get(at..end)).map(text);
        let content = Content::bare(ContentKind::LvmPv);
        return Ok(Some(match id.filter(|id| id.len() == 32 && id.is_ascii()) {
            Some(id) => content.number(grouped(&id)),
            None => content,
        }));
    }
    Ok(None)
}

/// Returns 32 characters in the groups that LVM shows.
fn grouped(id: &str) -> String {
    let groups = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32];
    groups.map(|group| &id[group]).join("-")
}

pub(super) fn luks(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let Some(header) = probe.with_magic((0, 512), 0, b"LUKS\xba\xbe")? else { return Ok(None) };
    let version = u16_or_zero(&header, 6).swap_bytes();
    let content = Content::bare(ContentKind::Luks { version });
    let label = if version == 2 { text(&header[24..72]) } else { String::new() };
    let uuid = text(&header[168..208]);
    let content = content.label(label);
    Ok(Some(if uuid.is_empty() { content } else { content.number(uuid) }))
}

pub(super) fn zfs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    // The first label's ring of uberblocks: 128 of 1 KiB.
    const MAGIC: u32 = 0x00ba_b10c;
    let Some(ring) = probe.bytes(128 << 10, 128 << 10)? else { return Ok(None) };
    let uberblocks = ring.chunks_exact(1024).filter(|block| {
        let number = &block[..8];
        *number == u64::from(MAGIC).to_le_bytes() || *number == u64::from(MAGIC).to_be_bytes()
    });
    Ok((uberblocks.count() > 0).then(|| Content::bare(ContentKind::Zfs)))
}
