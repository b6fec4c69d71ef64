// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a disk holds: partitions, and in each a file system or something else.

use std::io;

use kiln_disk::device::{Device, SharedDevice, Window};
use kiln_disk::fs::identify::{Content, ContentKind, identify};
use kiln_disk::table::{self, Partition, PartitionKind, PartitionTable};

use super::GuestError;

/// The most partitions that are looked into.
const MOST_PARTITIONS: usize = 256;
/// Partitions of an MBR that hold others.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// A disk with what it holds.
#[derive(Debug)]
pub struct Disk {
    device: SharedDevice,
    /// Its partition table.
    pub table: PartitionTable,
    /// What holds something: each partition but extended ones, or the whole disk if it has no
    /// partition table. In the order of their numbers.
    pub places: Vec<Place>,
}

/// A part of a disk that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What Linux would call it if this were its first SCSI disk: `sda1`; `sda` for the whole disk.
    pub name: String,
    /// Its first byte on the disk.
    pub start: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The partition; `None` for the whole disk.
    pub partition: Option<Partition>,
    /// What it holds.
    pub content: Content,
}

impl Place {
    /// Returns whether its files can be read in process.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        let kind = self.content.kind;
        kind.is_ext() || matches!(kind, ContentKind::Vfat { .. } | ContentKind::Iso9660)
    }

    /// Returns whether it may hold files that cannot be read in process.
    #[must_use]
    pub fn needs_more(&self) -> bool {
        let wraps = matches!(
            self.content.kind,
            ContentKind::LvmPv | ContentKind::Luks { .. } | ContentKind::Mdraid | ContentKind::Zfs
        );
        wraps || self.content.kind.has_files() && !self.is_direct()
    }

    /// Returns the number of a GPT's partition, or what stands for it in an MBR, as
    /// `/etc/fstab` has it after `PARTUUID=`.
    #[must_use]
    pub fn partuuid(&self, disk: Option<table::DiskId>) -> Option<String> {
        let partition = self.partition.as_ref()?;
        match (partition.uuid, disk) {
            (Some(uuid), _) => Some(uuid.to_string()),
            (None, Some(table::DiskId::Mbr(id))) => {
                Some(format!("{id:08x}-{:02x}", partition.number))
            }
            _ => None,
        }
    }
}

impl Disk {
    /// Looks what is on a disk.
    ///
    /// # Effects
    ///
    /// Reads some hundred KiB of each partition.
    ///
    /// # Errors
    ///
    /// [`GuestError::Table`] if its partition table is damaged; [`GuestError::Io`].
    pub fn read(device: SharedDevice) -> Result<Self, GuestError> {
        let io = |source| GuestError::Io { source };
        let mut whole = device.clone();
        let table = table::read(&mut whole)
            .map_err(|source| GuestError::Table { source: Box::new(source) })?;
        let mut places = Vec::new();
        if table.kind.is_none() {
            let content = identify(&mut whole).map_err(io)?;
            let (name, len) = ("sda".to_owned(), whole.size());
            places.push(Place { name, start: 0, len, partition: None, content });
        }
        for partition in table.partitions.iter().take(MOST_PARTITIONS) {
            if matches!(partition.kind, PartitionKind::Mbr(kind) if EXTENDED.contains(&kind)) {
                continue;
            }
            let (start, len) = (partition.start, partition.len);
            let mut window = Window::new(device.clone(), start, len).map_err(io)?;
            let content = identify(&mut window).map_err(io)?;
            let name = format!("sda{}", partition.number);
            let partition = Some(partition.clone());
            places.push(Place { name, start, len, partition, content });
        }
        Ok(Self { device, table, places })
    }

    /// Returns the disk's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.device.size()
    }

    /// Returns the first `len` bytes of the disk, or fewer if it is smaller.
    ///
    /// # Errors
    ///
    /// What the device says.
    pub fn start(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size()).map_or(len, |size| size.min(len))];
        self.device.clone().read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Returns the bytes of a place as a device.
    ///
    /// # Errors
    ///
    /// That the disk is smaller.
    pub fn open(&self, place: &Place) -> io::Result<Box<dyn Device>> {
        Ok(Box::new(Window::new(self.device.clone(), place.start, place.len)?))
    }
}
