// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A new table: where each partition lies, and the sectors that say so.
//!
//! Sectors are 512 bytes: what KVM's disks have unless told otherwise.
//!
//! Source: UEFI 2.10, 5.2.3 (protective MBR) and 5.3; type GUIDs from 5.3.3, the GRUB manual
//! ("BIOS installation") and the Discoverable Partitions Specification.

use std::io;

use kiln_spec::Bytes;
use uuid::{Uuid, uuid};

use crate::device::Device;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Every partition begins at a multiple of this: 1 MiB, as `sfdisk` does it.
const ALIGN: u64 = 1 << 20;
/// Entries of the table: the least that UEFI allows, and what every tool writes.
const ENTRIES: usize = 128;
/// Bytes of an entry.
const ENTRY: usize = 128;
/// Sectors of all entries.
const ARRAY: u64 = 32;
/// Bytes of the header: UEFI 2.10, table 5.5.
const HEADER: u32 = 92;
/// The most UTF-16 units of a name.
pub(super) const MOST_NAME: usize = 36;

/// Type of the partition that holds GRUB's core image for BIOS.
pub const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
/// Type of the EFI system partition.
pub const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
/// Type of Linux's swap space.
pub const SWAP: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
/// Type of a root file system for x86-64.
pub const ROOT_X86_64: Uuid = uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
/// Type of a root file system for 64-bit ARM.
pub const ROOT_ARM64: Uuid = uuid!("b921b045-1df0-41c3-af44-4c6f280d3fae");

/// Type of a physical volume of LVM.
pub const LVM: Uuid = uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928");
/// Type of any other file system of Linux's.
pub const LINUX: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");
/// Type of file systems that other systems read, too: FAT.
pub const BASIC_DATA: Uuid = uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7");

/// One partition to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSpec {
    /// Its name in the table: at most 36 characters.
    pub name: String,
    /// What it is for.
    pub kind: Uuid,
    /// Its own number, the PARTUUID.
    pub id: Uuid,
    /// Its size, rounded up to whole MiB; `None` for all that the others leave.
    pub size: Option<Bytes>,
}

/// Where a partition lies, in bytes from the beginning of the disk. Both are whole MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub len: u64,
}

/// A table that has been thought out, and not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptPlan {
    disk: Uuid,
    sectors: u64,
    parts: Vec<(PartitionSpec, Extent)>,
}

/// Why a disk could not be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The disk is too small for any partition.
    #[error("a disk of {disk} cannot hold a partition table")]
    DiskTooSmall {
        /// The disk's size.
        disk: Bytes,
    },
    /// More partitions than the table has entries.
    #[error("{asked} partitions do not fit a table of {ENTRIES} entries")]
    TooMany {
        /// How many were asked for.
        asked: usize,
    },
    /// Two partitions both ask for the space left over.
    #[error("partitions `{first}` and `{second}` both ask for the space left over")]
    TwoFillers {
        /// Name of the first.
        first: String,
        /// Name of the second.
        second: String,
    },
    /// A name is too long.
    #[error("`{name}` is too long for the name of a partition: 36 characters are the most")]
    LongName {
        /// The name.
        name: String,
    },
    /// A partition does not fit in what is left.
    #[error("partition `{name}` needs {need}, and {left} are left")]
    NoRoom {
        /// Name of the partition.
        name: String,
        /// What it asked for, rounded up to whole MiB.
        need: Bytes,
        /// What was left.
        left: Bytes,
    },
}

/// Plans a GUID partition table for a disk of `size` with the number `disk`.
///
/// Places `parts` one after the other, each at the next multiple of 1 MiB.
///
/// # Errors
///
/// See [`LayoutError`].
pub fn plan(size: Bytes, disk: Uuid, parts: &[PartitionSpec]) -> Result<GptPlan, LayoutError> {
    let sectors = size.0 / SECTOR;
    let room = sectors.checked_sub(ARRAY + 1).map(|end| end * SECTOR / ALIGN);
    // The first MiB holds the MBR and the table.
    let Some(mut left) = room.and_then(|mib| mib.checked_sub(1)) else {
        return Err(LayoutError::DiskTooSmall { disk: size });
    };
    if parts.len() > ENTRIES {
        return Err(LayoutError::TooMany { asked: parts.len() });
    }
    if let Some(part) = parts.iter().find(|p| p.name.encode_utf16().count() > MOST_NAME) {
        return Err(LayoutError::LongName { name: part.name.clone() });
    }
    let mut fillers = parts.iter().filter(|p| p.size.is_none());
    if let (Some(first), Some(second)) = (fillers.next(), fillers.next()) {
        let (first, second) = (first.name.clone(), second.name.clone());
        return Err(LayoutError::TwoFillers { first, second });
    }
    let mib = |part: &PartitionSpec| part.size.map_or(0, |size| size.0.div_ceil(ALIGN).max(1));
    // Those with a size first, so that the one without is told what is really left.
    for part in
        parts.iter().filter(|p| p.size.is_some()).chain(parts.iter().filter(|p| p.size.is_none()))
    {
        let need = mib(part);
        let enough = if part.size.is_none() { left >= 1 } else { left >= need };
        if !enough {
            let need = Bytes(need.max(1).saturating_mul(ALIGN));
            return Err(LayoutError::NoRoom {
                name: part.name.clone(),
                need,
                left: Bytes(left * ALIGN),
            });
        }
        left -= need;
    }
    let mut next = 1;
    let place = |part: &PartitionSpec| {
        let units = if part.size.is_none() { left } else { mib(part) };
        let extent = Extent { start: next * ALIGN, len: units * ALIGN };
        next += units;
        (part.clone(), extent)
    };
    Ok(GptPlan { disk, sectors, parts: parts.iter().map(place).collect() })
}

impl GptPlan {
    /// Returns where each partition lies, in the order that they were given in.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        self.parts.iter().map(|&(_, extent)| extent)
    }

    /// Writes the protective MBR, the table and its copy at the end of `device`.
    ///
    /// The first 440 bytes of the disk, which are a boot loader's, are written as zeros.
    ///
    /// # Errors
    ///
    /// What the device says; [`io::ErrorKind::InvalidInput`] if it is not as long as the disk
    /// that was planned for.
    pub fn write(&self, device: &mut dyn Device) -> io::Result<()> {
        if device.size() / SECTOR != self.sectors {
            let text = "the table was planned for a disk of another size";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let array = self.array();
        let last = self.sectors - 1;
        let copy = last - ARRAY;
        device.write_at(0, &self.protective_mbr())?;
        device.write_at(SECTOR, &self.header((1, last), 2, &array))?;
        device.write_at(2 * SECTOR, &array)?;
        device.write_at(copy * SECTOR, &array)?;
        device.write_at(last * SECTOR, &self.header((last, 1), copy, &array))
    }

    /// Returns sector 0: one partition of type 0xee over the whole disk.
    fn protective_mbr(&self) -> [u8; 512] {
        let mut mbr = [0; 512];
        // Not bootable; cylinder 0, head 0, sector 2 to the largest address; LBA 1; length.
        mbr[446..454].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
        mbr[454..458].copy_from_slice(&1_u32.to_le_bytes());
        let len = u32::try_from(self.sectors - 1).unwrap_or(u32::MAX);
        mbr[458..462].copy_from_slice(&len.to_le_bytes());
        mbr[510..].copy_from_slice(&[0x55, 0xaa]);
        mbr
    }

    fn array(&self) -> Vec<u8> {
        let mut array = Vec::with_capacity(ENTRIES * ENTRY);
        for (part, extent) in &self.parts {
            let start = array.len();
            array.extend_from_slice(&part.kind.to_bytes_le());
            array.extend_from_slice(&part.id.to_bytes_le());
            let first = extent.start / SECTOR;
            array.extend_from_slice(&first.to_le_bytes());
            array.extend_from_slice(&(first + extent.len / SECTOR - 1).to_le_bytes());
            array.extend_from_slice(&[0; 8]);
            array.extend(part.name.encode_utf16().flat_map(u16::to_le_bytes));
            array.resize(start + ENTRY, 0);
        }
        array.resize(ENTRIES * ENTRY, 0);
        array
    }

    /// Returns a header that lies at sector `places.0`, with its twin at `places.1`.
    fn header(&self, places: (u64, u64), array_at: u64, array: &[u8]) -> [u8; 512] {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"EFI PART");
        bytes.extend_from_slice(&0x0001_0000_u32.to_le_bytes());
        bytes.extend_from_slice(&HEADER.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        let (first, last) = (2 + ARRAY, self.sectors - 2 - ARRAY);
        for sector in [places.0, places.1, first, last] {
            bytes.extend_from_slice(&sector.to_le_bytes());
        }
        bytes.extend_from_slice(&self.disk.to_bytes_le());
        bytes.extend_from_slice(&array_at.to_le_bytes());
        bytes.extend_from_slice(&128_u32.to_le_bytes());
        bytes.extend_from_slice(&128_u32.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(array).to_le_bytes());
        // The checksum is over the header with zeros in its own place.
        let sum = crc32fast::hash(&bytes);
        bytes[16..20].copy_from_slice(&sum.to_le_bytes());
        bytes.resize(512, 0);
        bytes.try_into().expect("it has just been made 512 bytes long")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, mib: Option<u64>) -> PartitionSpec {
        let size = mib.map(Bytes::from_mib);
        PartitionSpec { name: name.into(), kind: ESP, id: Uuid::from_u128(1), size }
    }

    fn error(size: Bytes, parts: &[PartitionSpec]) -> String {
        plan(size, Uuid::from_u128(0), parts).unwrap_err().to_string()
    }

    #[test]
    fn same_layout_as_sfdisk() {
        // truncate -s 1G d.img; printf 'label: gpt\nfirst-lba: 34\n,100M\n,\n' | sfdisk d.img
        // sfdisk -d d.img, util-linux 2.38.1:
        //   d.img1 : start=        2048, size=      204800
        //   d.img2 : start=      206848, size=     1888256
        let parts = [spec("esp", Some(100)), spec("root", None)];
        let plan = plan(Bytes(1 << 30), Uuid::from_u128(0), &parts).unwrap();
        let got: Vec<_> = plan.extents().map(|e| (e.start / SECTOR, e.len / SECTOR)).collect();
        assert_eq!(got, [(2048, 204_800), (206_848, 1_888_256)]);
    }

    #[test]
    fn errors_name_the_partition() {
        let disk = Bytes::from_mib(10);
        assert_eq!(error(Bytes(4096), &[]), "a disk of 4 KiB cannot hold a partition table");
        assert_eq!(
            error(disk, &vec![spec("p", Some(1)); 129]),
            "129 partitions do not fit a table of 128 entries"
        );
        assert_eq!(
            error(disk, &[spec("a", None), spec("b", None)]),
            "partitions `a` and `b` both ask for the space left over"
        );
        assert_eq!(
            error(disk, &[spec("a", Some(5)), spec("b", Some(5))]),
            "partition `b` needs 5 MiB, and 3 MiB are left"
        );
        assert_eq!(
            error(disk, &[spec("rest", None), spec("a", Some(8))]),
            "partition `rest` needs 1 MiB, and 0 B are left"
        );
        assert_eq!(
            error(disk, &[spec(&"n".repeat(37), None)]),
            format!(
                "`{}` is too long for the name of a partition: 36 characters are the most",
                "n".repeat(37)
            )
        );
    }
}
