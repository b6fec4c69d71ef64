// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The GUID partition table of a disk: both copies, checked; changed and written back.
//!
//! What is not understood is kept: bytes of the header beyond its known fields, and entries that
//! are larger than they must be.
//!
//! Source: UEFI 2.10, 5.3.2 (header) and 5.3.3 (entries). What is taken is what Linux takes
//! (`block/partitions/efi.c`), and entries of 256 bytes and more, which Linux refuses.

use uuid::Uuid;

use super::super::error::{Note, TableError};
use super::super::kind::PartitionKind;
use super::super::read::Partition;
use super::plan::MOST_NAME;
use crate::device::Device;
use crate::le::{u32_or_zero, u64_or_zero};

const MAGIC: &[u8] = b"EFI PART";
/// The least bytes of a header and of an entry.
const LEAST_HEADER: u64 = 92;
const LEAST_ENTRY: u64 = 128;
/// The most bytes of an entry, and of all of them: what Linux can take at once.
const MOST_ENTRY: u64 = 4096;
const MOST_ARRAY: u64 = 4 << 20;
/// Sizes of sectors that are looked for.
const SECTORS: [u64; 2] = [512, 4096];

/// Places of fields in a header.
const CRC: usize = 16;
const MY_LBA: usize = 24;
const OTHER_LBA: usize = 32;
const FIRST_USABLE: usize = 40;
const LAST_USABLE: usize = 48;
const DISK_ID: usize = 56;
const ARRAY_LBA: usize = 72;
const COUNT: usize = 80;
const ENTRY_LEN: usize = 84;
const ARRAY_CRC: usize = 88;

/// Bit of an entry's attributes: BIOS boots from it.
const LEGACY_BOOT: u64 = 1 << 2;

/// The table of a disk, as one whole copy has it.
#[derive(Clone, Debug)]
pub(in super::super) struct GptDisk {
    /// Bytes of a sector.
    pub(in super::super) sector: u64,
    /// What is odd about the copies.
    pub(in super::super) notes: Vec<Note>,
    /// Sectors of the disk.
    sectors: u64,
    /// The header's sector.
    header: Vec<u8>,
    array: Vec<u8>,
    /// First sector of the entries that belong to the first header.
    primary_array: u64,
    /// Where the copy's header is, or is said to be.
    backup: u64,
    /// Whether the disk ends before the table says so: it has been cut off.
    pub(in super::super) short: bool,
}

fn id_at(bytes: &[u8], at: usize) -> Uuid {
    bytes.get(at..at + 16).and_then(|b| b.try_into().ok()).map_or(Uuid::nil(), Uuid::from_bytes_le)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn index(n: u64) -> usize {
    usize::try_from(n).expect("headers and entries are some MiB at most")
}

/// A whole copy: its header's sector and the entries.
struct Copy {
    header: Vec<u8>,
    array: Vec<u8>,
}

/// Reads the copy whose header is in sector `lba`. The inner error says what is wrong with it, also
/// that it is for a longer disk.
fn copy(
    device: &mut dyn Device,
    sector: u64,
    lba: u64,
) -> Result<Result<Copy, String>, TableError> {
    let sectors = device.size() / sector;
    let copy = match copy_of_longer(device, sector, lba)? {
        Ok(copy) => copy,
        Err(what) => return Ok(Err(what)),
    };
    let (first, last) = usable(&copy.header);
    if last >= sectors {
        return Ok(Err(format!("it is for sectors {first} to {last} of {sectors}")));
    }
    Ok(Ok(copy))
}

/// Returns the first and the last sector that partitions may have.
fn usable(header: &[u8]) -> (u64, u64) {
    (u64_or_zero(header, FIRST_USABLE), u64_or_zero(header, LAST_USABLE))
}

/// As [`copy`], of this disk or of a longer one.
fn copy_of_longer(
    device: &mut dyn Device,
    sector: u64,
    lba: u64,
) -> Result<Result<Copy, String>, TableError> {
    let sectors = device.size() / sector;
    let wrong = |what: String| Ok(Err(what));
    if lba >= sectors {
        return wrong(format!("its header would be in sector {lba} of {sectors}"));
    }
    let mut header = vec![0; index(sector)];
    device.read_at(lba * sector, &mut header).map_err(TableError::reading)?;
    if !header.starts_with(MAGIC) {
        return wrong("it is not there".to_owned());
    }
    let len = u64::from(u32_or_zero(&header, 12));
    if !(LEAST_HEADER..=sector).contains(&len) {
        return wrong(format!("its header has {len} bytes"));
    }
    let mut summed = header[..index(len)].to_vec();
    put(&mut summed, CRC, &[0; 4]);
    if crc32fast::hash(&summed) != u32_or_zero(&header, CRC) {
        return wrong("the checksum of its header is wrong".to_owned());
    }
    if u64_or_zero(&header, MY_LBA) != lba {
        return wrong(format!("its header is for sector {}", u64_or_zero(&header, MY_LBA)));
    }
    let (first, last) = usable(&header);
    if first > last.saturating_add(1) {
        return wrong(format!("it is for sectors {first} to {last} of {sectors}"));
    }
    let (count, each) =
        (u64::from(u32_or_zero(&header, COUNT)), u64::from(u32_or_zero(&header, ENTRY_LEN)));
    let bytes = count * each;
    if !each.is_power_of_two()
        || !(LEAST_ENTRY..=MOST_ENTRY).contains(&each)
        || bytes == 0
        || bytes > MOST_ARRAY
    {
        return wrong(format!("it has {count} entries of {each} bytes"));
    }
    let at = u64_or_zero(&header, ARRAY_LBA);
    if at.checked_add(bytes.div_ceil(sector)).is_none_or(|end| end > sectors) || at < 2 {
        return wrong(format!("its entries begin in sector {at} of {sectors}"));
    }
    let mut array = vec![0; index(bytes)];
    device.read_at(at * sector, &mut array).map_err(TableError::reading)?;
    if crc32fast::hash(&array) != u32_or_zero(&header, ARRAY_CRC) {
        return wrong("the checksum of its entries is wrong".to_owned());
    }
    Ok(Ok(Copy { header, array }))
}

impl GptDisk {
    /// Reads the table of `device`; `None` if it has no sign of one.
    pub(in super::super) fn load(device: &mut dyn Device) -> Result<Option<Self>, TableError> {
        let mut damaged = None;
        for sector in SECTORS {
            match copy(device, sector, 1)? {
                Ok(copy) => return Self::from_primary(device, sector, copy).map(Some),
                Err(what) => {
                    let there = header_there(device, sector)?;
                    if there.is_some() && damaged.is_none() {
                        damaged = Some(what);
                    }
                }
            }
        }
        let primary = damaged.clone().unwrap_or_else(|| "it is not there".to_owned());
        let mut backup = None;
        for sector in SECTORS {
            let sectors = device.size() / sector;
            let said = header_there(device, sector)?.map(|header| u64_or_zero(&header, OTHER_LBA));
            for lba in [sectors.checked_sub(1), said].into_iter().flatten() {
                match copy(device, sector, lba)? {
                    // The first header again is no copy.
                    Ok(copy) if lba > 1 => {
                        return Ok(Some(Self::from_backup(device, (sector, lba), copy, primary)));
                    }
                    Ok(_) => {}
                    Err(what) if backup.is_none() => backup = Some(what),
                    Err(_) => {}
                }
            }
        }
        for sector in SECTORS {
            if let Ok(copy) = copy_of_longer(device, sector, 1)? {
                return Ok(Some(Self::of_longer(device, sector, copy)));
            }
        }
        let backup = backup.unwrap_or_else(|| "it is not there".to_owned());
        if damaged.is_none() { Ok(None) } else { Err(TableError::Gpt { primary, backup }) }
    }

    fn from_primary(
        device: &mut dyn Device,
        sector: u64,
        primary: Copy,
    ) -> Result<Self, TableError> {
        let sectors = device.size() / sector;
        let backup = u64_or_zero(&primary.header, OTHER_LBA);
        let mut notes = Vec::new();
        match copy(device, sector, backup)? {
            Ok(copy) if copy.array != primary.array => {
                notes.push(Note::BackupDamaged { what: "its entries are others".to_owned() });
            }
            Ok(_) if backup != sectors - 1 => notes.push(Note::BackupNotAtEnd),
            Ok(_) => {}
            Err(what) => notes.push(Note::BackupDamaged { what }),
        }
        let primary_array = u64_or_zero(&primary.header, ARRAY_LBA);
        let Copy { header, array } = primary;
        Ok(Self { sector, notes, sectors, header, array, primary_array, backup, short: false })
    }

    /// The first copy of a disk that has been cut off.
    fn of_longer(device: &mut dyn Device, sector: u64, primary: Copy) -> Self {
        let what = "the disk ends before it".to_owned();
        let Copy { header, array } = primary;
        Self {
            sector,
            notes: vec![Note::BackupDamaged { what }],
            sectors: device.size() / sector,
            primary_array: u64_or_zero(&header, ARRAY_LBA),
            backup: u64_or_zero(&header, OTHER_LBA),
            header,
            array,
            short: true,
        }
    }

    /// `place` is the size of a sector and the copy's sector.
    fn from_backup(device: &mut dyn Device, place: (u64, u64), backup: Copy, what: String) -> Self {
        let (sector, lba) = place;
        let Copy { header, array } = backup;
        let notes = vec![Note::PrimaryDamaged { what }];
        let sectors = device.size() / sector;
        let (primary_array, short) = (2, false);
        Self { sector, notes, sectors, header, array, primary_array, backup: lba, short }
    }

    /// Returns the disk's number.
    pub(in super::super) fn id(&self) -> Uuid {
        id_at(&self.header, DISK_ID)
    }

    /// Returns where the space for partitions ends, in bytes.
    pub(in super::super) fn end(&self) -> u64 {
        self.sectors.min(u64_or_zero(&self.header, LAST_USABLE).saturating_add(1)) * self.sector
    }

    fn entry_len(&self) -> usize {
        usize::try_from(u32_or_zero(&self.header, ENTRY_LEN))
            .expect("an entry was checked to be short")
    }

    /// Returns the partitions in the order of their numbers, and adds to `notes` what is left
    /// out.
    pub(in super::super) fn partitions(&self, notes: &mut Vec<Note>) -> Vec<Partition> {
        let mut found = Vec::new();
        for (number, entry) in (1..).zip(self.array.chunks_exact(self.entry_len())) {
            let kind = id_at(entry, 0);
            if kind.is_nil() {
                continue;
            }
            let (first, last) = (u64_or_zero(entry, 32), u64_or_zero(entry, 40));
            let beyond = last >= self.sectors;
            if first > last || (beyond && (!self.short || first >= self.sectors)) {
                notes.push(Note::Ignored { number });
                continue;
            }
            if beyond {
                notes.push(Note::CutOff { number });
            }
            let last = last.min(self.sectors - 1);
            let flags = u64_or_zero(entry, 48);
            let (name, _) = entry[56..56 + 2 * MOST_NAME].as_chunks::<2>();
            let units = name.iter().map(|unit| u16::from_le_bytes(*unit));
            let name = char::decode_utf16(units.take_while(|unit| *unit != 0));
            found.push(Partition {
                number,
                start: first * self.sector,
                len: (last - first + 1) * self.sector,
                kind: PartitionKind::Gpt(kind),
                uuid: Some(id_at(entry, 16)),
                name: name.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
                flags,
                bootable: flags & LEGACY_BOOT != 0,
            });
        }
        found
    }

    /// Sets where a partition that is there ends; `end` in bytes.
    pub(in super::super) fn set_end(&mut self, number: u32, end: u64) {
        let at = (usize::try_from(number).expect("a partition's number is small") - 1)
            * self.entry_len()
            + 40;
        let last = end / self.sector - 1;
        put(&mut self.array, at, &last.to_le_bytes());
    }

    /// Sectors of the entries.
    fn array_sectors(&self) -> u64 {
        crate::device::len64(&self.array).div_ceil(self.sector)
    }

    /// Returns how many bytes the copy takes at the disk's end.
    pub(in super::super) fn reserved(&self) -> u64 {
        (1 + self.array_sectors()) * self.sector
    }

    /// Returns the last byte (exclusive) that a partition may have on a disk of `size` bytes, or
    /// `None` if such a disk has no room for the table.
    pub(in super::super) fn end_on(&self, size: u64) -> Option<u64> {
        let end = (size / self.sector).checked_sub(1 + self.array_sectors())?;
        (end > u64_or_zero(&self.header, FIRST_USABLE)).then_some(end * self.sector)
    }

    /// Returns where the space for partitions begins, in bytes.
    pub(in super::super) fn begin(&self) -> u64 {
        u64_or_zero(&self.header, FIRST_USABLE).saturating_mul(self.sector)
    }

    /// Returns whether both copies can be written to a disk of `size` bytes without a byte of a
    /// partition.
    pub(in super::super) fn can_write(&self, size: u64, partitions: &[Partition]) -> bool {
        let arrays = self.array_sectors() * self.sector;
        let primary = self.primary_array * self.sector;
        let Some(end) = self.end_on(size) else { return false };
        primary.checked_add(arrays).is_some_and(|own| own <= end)
            && partitions.iter().all(|partition| {
                let (start, stop) = (partition.start, partition.end());
                start >= 2 * self.sector
                    && stop <= end
                    && (start >= primary + arrays || stop <= primary)
            })
    }

    /// Writes both copies and the protective MBR's length for a disk of `size` bytes, the copy
    /// first: whenever it is cut off, one of the two is whole.
    pub(in super::super) fn write(
        &mut self,
        device: &mut dyn Device,
        size: u64,
    ) -> Result<(), TableError> {
        let sectors = size / self.sector;
        let (last, arrays) = (sectors - 1, self.array_sectors());
        let (old, old_end) = (self.backup, self.end() / self.sector);
        put(&mut self.header, LAST_USABLE, &(last - arrays - 1).to_le_bytes());
        put(&mut self.header, ARRAY_CRC, &crc32fast::hash(&self.array).to_le_bytes());
        let mut write =
            |at: u64, bytes: &[u8]| device.write_at(at, bytes).map_err(TableError::writing);
        let mut array = self.array.clone();
        array.resize(index(arrays * self.sector), 0);
        write((last - arrays) * self.sector, &array)?;
        write(last * self.sector, &self.header_at((last, 1), last - arrays))?;
        write(self.primary_array * self.sector, &array)?;
        write(self.sector, &self.header_at((1, last), self.primary_array))?;
        // An old copy in the middle would be found by who looks for one.
        if old != last && old >= old_end && header_in(device, self.sector, old)?.is_some() {
            let zeros = vec![0; index(self.sector)];
            device.write_at(old * self.sector, &zeros).map_err(TableError::writing)?;
        }
        self.protect(device, sectors)?;
        (self.sectors, self.backup) = (sectors, last);
        device.flush().map_err(TableError::writing)
    }

    /// Returns a header for sector `places.0` with its twin at `places.1`.
    fn header_at(&self, places: (u64, u64), array: u64) -> Vec<u8> {
        let mut header = self.header.clone();
        put(&mut header, MY_LBA, &places.0.to_le_bytes());
        put(&mut header, OTHER_LBA, &places.1.to_le_bytes());
        put(&mut header, ARRAY_LBA, &array.to_le_bytes());
        put(&mut header, CRC, &[0; 4]);
        let len =
            usize::try_from(u32_or_zero(&header, 12)).expect("it was checked to fit a sector");
        let sum = crc32fast::hash(&header[..len]);
        put(&mut header, CRC, &sum.to_le_bytes());
        header
    }

    /// Makes the protective entry as long as the disk. One that never went to the end (a hybrid
    /// MBR's) stays.
    fn protect(&self, device: &mut dyn Device, sectors: u64) -> Result<(), TableError> {
        let mut mbr = [0; 512];
        device.read_at(0, &mut mbr).map_err(TableError::reading)?;
        let whole = |sectors: u64| u32::try_from(sectors - 1).unwrap_or(u32::MAX);
        for at in (0..4).map(|n| 446 + 16 * n) {
            let protective = mbr[at + 4] == 0xee && u32_or_zero(&mbr, at + 8) == 1;
            let len = u32_or_zero(&mbr, at + 12);
            let to_end = len == u32::MAX
                || len == whole(self.sectors)
                || u64::from(len) == self.backup
                || u64::from(len) >= sectors;
            if protective && to_end {
                put(&mut mbr, at + 12, &whole(sectors).to_le_bytes());
            }
        }
        device.write_at(0, &mbr).map_err(TableError::writing)
    }
}

/// Returns the first header's sector if something is there that calls itself one.
fn header_there(device: &mut dyn Device, sector: u64) -> Result<Option<Vec<u8>>, TableError> {
    header_in(device, sector, 1)
}

fn header_in(
    device: &mut dyn Device,
    sector: u64,
    lba: u64,
) -> Result<Option<Vec<u8>>, TableError> {
    if lba.checked_add(1).and_then(|n| n.checked_mul(sector)).is_none_or(|end| end > device.size())
    {
        return Ok(None);
    }
    let mut header = vec![0; index(sector)];
    device.read_at(lba * sector, &mut header).map_err(TableError::reading)?;
    Ok(header.starts_with(MAGIC).then_some(header))
}
