// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Volume descriptors, and the boot images that one of them leads to.
//!
//! Source: ECMA-119, 8; Joliet 1995, "Identifying the Joliet Supplementary Volume Descriptor";
//! Phoenix and IBM, "El Torito Bootable CD-ROM Format Specification", 1.0; UEFI 2.10, 13.3.2.1.

use super::record::{Extent, Head};
use super::{IsoFsError, SECTOR64};
use crate::device::Device;
use crate::le::{u16_at, u32_at};

/// The first volume descriptor's sector: ECMA-119, 6.2.1.
const FIRST: u64 = 16;
/// Volume descriptors that are looked at.
const MOST: u64 = 64;
/// What the boot record's descriptor has from byte 7 on.
const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";

/// A tree of directories: the plain one, or that of Joliet.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) label: Vec<u8>,
    /// Bytes of a logical block, in which places are counted.
    pub(super) block: u64,
    pub(super) root: Extent,
    /// The root's own record, for its time.
    pub(super) head: Head,
    /// Bytes of the whole, as it says itself.
    pub(super) size: u64,
}

/// What the volume descriptors say.
#[derive(Clone, Debug)]
pub(super) struct Volumes {
    pub(super) primary: Volume,
    pub(super) joliet: Option<Volume>,
    /// Where the boot catalogue lies.
    catalogue: Option<u64>,
}

impl Volumes {
    pub(super) fn read(device: &mut dyn Device) -> Result<Self, IsoFsError> {
        let not = |why: &str| IsoFsError::NotIso { why: why.to_owned() };
        let (mut primary, mut joliet, mut catalogue) = (None, None, None);
        for sector in FIRST..FIRST + MOST {
            let b = read_sector(device, sector * SECTOR64, "read a volume descriptor")?;
            let Some(b) = b.filter(|b| b[1..6] == *b"CD001") else { break };
            match b[0] {
                0 if b[7..].starts_with(EL_TORITO) => catalogue = Some(u64::from(u32_at(&b, 71))),
                1 if primary.is_none() => primary = Some(Volume::parse(&b)?),
                // Level 1, 2 or 3 of UCS-2.
                2 if matches!(b[88..91], [b'%', b'/', b'@' | b'C' | b'E']) => {
                    joliet = Some(Volume::parse(&b)?);
                }
                255 => break,
                _ => (),
            }
        }
        let primary = primary.ok_or_else(|| not("it has no primary volume descriptor"))?;
        let catalogue = catalogue.map(|sector| sector * SECTOR64);
        Ok(Self { primary, joliet, catalogue })
    }

    /// Returns the entries of the boot catalogue.
    pub(super) fn boot_images(
        &self,
        device: &mut dyn Device,
    ) -> Result<Vec<BootImage>, IsoFsError> {
        let Some(at) = self.catalogue else { return Ok(Vec::new()) };
        let damaged = |what: &str| IsoFsError::Damaged { what: what.to_owned() };
        let sector = read_sector(device, at, "read the boot catalogue")?;
        let sector = sector.ok_or_else(|| damaged("the boot catalogue lies past the end"))?;
        let entries = sector.as_chunks::<32>().0;
        let sum = entries[0].as_chunks::<2>().0.iter().map(|&b| u16::from_le_bytes(b));
        if entries[0][0] != 1 || sum.fold(0, u16::wrapping_add) != 0 {
            return Err(damaged("the boot catalogue has a wrong checksum"));
        }
        let mut platform = entries[0][1];
        let mut images = Vec::new();
        for (number, entry) in entries.iter().enumerate().skip(1) {
            match entry[0] {
                0 if *entry == [0; 32] && number > 1 => break,
                0 | 0x88 => images.push(BootImage::parse(entry, platform)),
                // The head of a section; 0x91 is the last.
                0x90 | 0x91 => platform = entry[1],
                // What selects between entries of a section.
                0x44 => (),
                _ => break,
            }
        }
        Ok(images)
    }
}

impl Volume {
    fn parse(b: &[u8]) -> Result<Self, IsoFsError> {
        let not = |why: String| IsoFsError::NotIso { why };
        let block = u64::from(u16_at(b, 128));
        if ![512, 1024, 2048].contains(&block) {
            return Err(not(format!("blocks of {block} bytes")));
        }
        let head = Head::parse(&b[156..190]).ok_or_else(|| not("no root directory".to_owned()))?;
        let root = Extent { block: head.extent.block, len: head.extent.len };
        let size = u64::from(u32_at(b, 80)) * block;
        Ok(Self { label: b[40..72].to_vec(), block, root, head, size })
    }
}

fn read_sector(
    device: &mut dyn Device,
    at: u64,
    doing: &'static str,
) -> Result<Option<Vec<u8>>, IsoFsError> {
    if at.checked_add(SECTOR64).is_none_or(|end| end > device.size()) {
        return Ok(None);
    }
    let mut bytes = vec![0; super::super::SECTOR];
    device.read_at(at, &mut bytes).map_err(|source| IsoFsError::Io { doing, source })?;
    Ok(Some(bytes))
}

/// Which firmware a boot image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BootPlatform {
    /// A PC's BIOS.
    Bios,
    /// UEFI.
    Efi,
    /// Another, by its number.
    Other(u8),
}

/// An entry of El Torito's boot catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootImage {
    /// Which firmware it is for.
    pub platform: BootPlatform,
    /// Whether it can be booted.
    pub bootable: bool,
    /// What it is shown as: 0 as nothing else, 1 to 3 as a floppy disk, 4 as a hard disk.
    pub media: u8,
    /// Where it lies, in bytes.
    pub at: u64,
    /// How many bytes the firmware loads, at least.
    pub size: u64,
}

impl BootImage {
    fn parse(entry: &[u8; 32], platform: u8) -> Self {
        let platform = match platform {
            0 => BootPlatform::Bios,
            0xef => BootPlatform::Efi,
            other => BootPlatform::Other(other),
        };
        Self {
            platform,
            bootable: entry[0] == 0x88,
            media: entry[1] & 15,
            at: u64::from(u32_at(entry, 8)) * SECTOR64,
            size: u64::from(u16_at(entry, 6)) * 512,
        }
    }
}
