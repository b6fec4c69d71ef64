// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT, exFAT and NTFS: the number is in the boot sector, the label in a directory or record.

use std::io;

use super::{Content, ContentKind, Probe, utf16};
use crate::fs::fat::serial_text;
use crate::le::{u16_or_zero, u32_or_zero, u64_or_zero};

/// The most clusters of a root directory that are looked at for the label.
const MOST_CLUSTERS: u32 = 100;
/// The most bytes of a cluster, and of a root directory of fixed size.
const MOST_CLUSTER: u64 = 2 << 20;
/// Bytes of a directory's entry.
const ENTRY: usize = 32;

/// What a FAT boot sector says.
struct Fat {
    /// Bytes of a sector and of a cluster.
    sector: u64,
    cluster: u64,
    /// Where the first FAT, the root directory (12 and 16 bits) and the clusters begin.
    fat_at: u64,
    root_at: u64,
    root_len: u64,
    data_at: u64,
    bits: u8,
    root_cluster: u32,
    serial: u32,
}

/// Returns what the boot sector says, if all of it can be.
fn fat(boot: &[u8]) -> Option<Fat> {
    let (sector, reserved) = (u64::from(u16_or_zero(boot, 11)), u64::from(u16_or_zero(boot, 14)));
    let (per_cluster, fats, media) = (u64::from(boot[13]), u64::from(boot[16]), boot[21]);
    let signed = u16_or_zero(boot, 510) == 0xaa55;
    let plausible = matches!(sector, 512 | 1024 | 2048 | 4096)
        && per_cluster.is_power_of_two()
        && reserved > 0
        && (1..=2).contains(&fats)
        && (media >= 0xf8 || media == 0xf0);
    if !signed || !plausible {
        return None;
    }
    let (short_fat, long_fat) =
        (u64::from(u16_or_zero(boot, 22)), u64::from(u32_or_zero(boot, 36)));
    let fat_len = if short_fat == 0 { long_fat } else { short_fat };
    let sectors = if u16_or_zero(boot, 19) == 0 {
        u32_or_zero(boot, 32)
    } else {
        u32::from(u16_or_zero(boot, 19))
    };
    let root_len = (u64::from(u16_or_zero(boot, 17)) * 32).div_ceil(sector) * sector;
    let root_at = (reserved + fats * fat_len) * sector;
    let data_at = root_at + root_len;
    let clusters = (u64::from(sectors) * sector).checked_sub(data_at)? / (sector * per_cluster);
    if fat_len == 0 || clusters > 0x0fff_fff4 {
        return None;
    }
    let bits = match clusters {
        _ if short_fat == 0 => 32,
        0..4085 => 12,
        4085..65_525 => 16,
        _ => return None,
    };
    let serial = u32_or_zero(boot, if bits == 32 { 67 } else { 39 });
    let (fat_at, cluster) = (reserved * sector, sector * per_cluster);
    let root_cluster = u32_or_zero(boot, 44);
    Some(Fat { sector, cluster, fat_at, root_at, root_len, data_at, bits, root_cluster, serial })
}

pub(super) fn vfat(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let Some(boot) = probe.bytes(0, 512)? else { return Ok(None) };
    let Some(fat) = fat(&boot) else { return Ok(None) };
    let label = if fat.bits == 32 {
        label_in_chain(probe, &fat)?
    } else {
        let root = probe.bytes(fat.root_at, fat.root_len.min(MOST_CLUSTER))?;
        root.and_then(|root| volume_label(&root).ok().flatten())
    };
    let content = Content::bare(ContentKind::Vfat { bits: fat.bits });
    let content = content.label(label.unwrap_or_default());
    Ok(Some(if fat.serial == 0 { content } else { content.number(serial_text(fat.serial)) }))
}

/// Looks for the label in the root directory's chain of clusters.
fn label_in_chain(probe: &mut Probe<'_>, fat: &Fat) -> io::Result<Option<String>> {
    let mut cluster = fat.root_cluster;
    for _ in 0..MOST_CLUSTERS {
        if !(2..0x0fff_fff7).contains(&cluster) {
            break;
        }
        let at = fat.data_at + u64::from(cluster - 2) * fat.cluster;
        let Some(bytes) = probe.bytes(at, fat.cluster.min(MOST_CLUSTER))? else { break };
        if let Ok(found) = volume_label(&bytes) {
            return Ok(found);
        }
        let next = probe.bytes(fat.fat_at + u64::from(cluster) * 4, 4)?;
        cluster = next.map_or(0, |bytes| u32_or_zero(&bytes, 0) & 0x0fff_ffff);
    }
    debug_assert!(fat.sector >= 512, "a boot sector with smaller sectors is none");
    Ok(None)
}

/// No end of the directory was in these bytes.
struct GoesOn;

/// Returns the label in a part of a root directory; `None` if the directory ends without one.
fn volume_label(directory: &[u8]) -> Result<Option<String>, GoesOn> {
    const VOLUME: u8 = 0x08;
    const DIRECTORY: u8 = 0x10;
    const LONG_NAME: u8 = 0x0f;
    for entry in directory.chunks_exact(ENTRY) {
        let flags = entry[11];
        if entry[0] == 0 {
            return Ok(None);
        }
        if entry[0] == 0xe5 || flags & 0x3f == LONG_NAME {
            continue;
        }
        if flags & (VOLUME | DIRECTORY) == VOLUME {
            // 0x05 stands for 0xe5, which marks what was removed.
            let mut name = entry[..11].to_vec();
            if name[0] == 0x05 {
                name[0] = 0xe5;
            }
            return Ok(Some(String::from_utf8_lossy(&name).into_owned()));
        }
    }
    Err(GoesOn)
}

pub(super) fn exfat(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    const LABEL: u8 = 0x83;
    let Some(boot) = probe.with_magic((0, 512), 3, b"EXFAT   ")? else { return Ok(None) };
    let (sector_bits, cluster_bits) = (u32::from(boot[108]), u32::from(boot[109]));
    let mut content = Content::bare(ContentKind::Exfat);
    content.uuid = Some(serial_text(u32_or_zero(&boot, 100)));
    if !(9..=12).contains(&sector_bits) || cluster_bits > 25 - sector_bits {
        return Ok(Some(content));
    }
    let cluster =
        u64::from(u32_or_zero(&boot, 96).saturating_sub(2)) << (sector_bits + cluster_bits);
    let at = (u64::from(u32_or_zero(&boot, 88)) << sector_bits).saturating_add(cluster);
    // The first cluster of the root directory: the label is its first entry.
    let len = (1_u64 << (sector_bits + cluster_bits)).min(4096);
    let directory = probe.bytes(at, len)?.unwrap_or_default();
    let entries = directory.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0);
    let label = entries.into_iter().find(|entry| entry[0] == LABEL).map(|entry| {
        let units = usize::from(entry[1]).min(11);
        utf16(&entry[2..2 + 2 * units])
    });
    Ok(Some(content.label(label.unwrap_or_default())))
}

pub(super) fn ntfs(probe: &mut Probe<'_>) -> io::Result<Option<Content>> {
    let Some(boot) = probe.with_magic((0, 512), 3, b"NTFS    ")? else { return Ok(None) };
    let mut content = Content::bare(ContentKind::Ntfs);
    content.uuid = Some(format!("{:016X}", u64_or_zero(&boot, 72)));
    let label = ntfs_label(probe, &boot)?;
    Ok(Some(content.label(label.unwrap_or_default())))
}

/// Reads the label from the record `$Volume`, the fourth of the master file table.
fn ntfs_label(probe: &mut Probe<'_>, boot: &[u8]) -> io::Result<Option<String>> {
    const VOLUME: u64 = 3;
    const NAME: u32 = 0x60;
    const END: u32 = 0xffff_ffff;
    let sector = u64::from(u16_or_zero(boot, 11));
    // Above 128 it is 2 to the power of what is missing to 256.
    let per_cluster = match boot[13] {
        n @ 0..=128 => u64::from(n),
        n => 1_u64 << (256 - u32::from(n)).min(16),
    };
    let cluster = sector.saturating_mul(per_cluster);
    let record = match boot[64].cast_signed() {
        n if n > 0 => cluster.saturating_mul(u64::from(n.unsigned_abs())),
        n => 1_u64 << n.unsigned_abs().min(32),
    };
    if !(512..=64 << 10).contains(&record) {
        return Ok(None);
    }
    let at = u64_or_zero(boot, 48).saturating_mul(cluster).saturating_add(VOLUME * record);
    let Some(record) = probe.with_magic((at, record), 0, b"FILE")? else { return Ok(None) };
    let mut at = usize::from(u16_or_zero(&record, 20));
    while at + 24 <= record.len() && u32_or_zero(&record, at) != END {
        let len = usize::try_from(u32_or_zero(&record, at + 4)).unwrap_or(usize::MAX);
        if len < 24 {
            break;
        }
        if u32_or_zero(&record, at) == NAME {
            let value = at + usize::from(u16_or_zero(&record, at + 20));
            let bytes = usize::try_from(u32_or_zero(&record, at + 16)).unwrap_or(usize::MAX);
            let end = value.saturating_add(bytes);
            return Ok(record.get(value..end).map(utf16));
        }
        at = at.saturating_add(len);
    }
    Ok(None)
}
