// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partition tables that other programs made, read and changed; sfdisk and sgdisk say whether
//! that is right.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kiln_disk::device::{Device, RawFile};
use kiln_disk::table::{
    self, Note, PartitionKind, PartitionTable, TableError, TableKind, resize_partition,
    set_disk_size,
};
use kiln_testkit::{need_program, run};

const MIB: u64 = 1 << 20;

/// A disk in a folder of its own.
struct Disk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Disk {
    /// Makes a disk of `size` bytes as `sfdisk` does from `script`.
    fn new(size: u64, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk.raw");
        File::create_new(&path).expect("a file").set_len(size).expect("room");
        let disk = Self { _folder: folder, path };
        let command = format!("printf '{script}' | sfdisk -q --no-tell-kernel {}", disk.shown());
        drop(run(&["sh", "-c", &command]).success());
        disk
    }

    fn shown(&self) -> &str {
        self.path.to_str().expect("a temporary folder's name is text")
    }

    fn file(&self) -> File {
        File::options().read(true).write(true).open(&self.path).expect("the disk")
    }

    fn device(&self) -> RawFile {
        RawFile::new(self.file()).expect("the disk")
    }

    fn read(&self) -> PartitionTable {
        table::read(&mut self.device()).expect("a table")
    }

    fn error(&self) -> String {
        table::read(&mut self.device()).expect_err("no table").to_string()
    }

    /// What sfdisk sees: number, first sector, sectors and type of each.
    fn seen_by_sfdisk(&self) -> Vec<String> {
        let dump = run(&["sfdisk", "--dump", self.shown()]).success().stdout;
        let lines = dump.lines().filter_map(|line| line.strip_prefix(self.shown()));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}

/// A table in the words of `sfdisk --dump`.
fn dump(table: &PartitionTable) -> Vec<String> {
    let line = |p: &table::Partition| {
        let (start, size) = (p.start / table.sector, p.len / table.sector);
        let mut line = format!("{} : start= {start}, size= {size}, type={}", p.number, p.kind);
        if let Some(uuid) = p.uuid {
            line += &format!(", uuid={}", uuid.to_string().to_uppercase());
        }
        if !p.name.is_empty() {
            line += &format!(", name=\"{}\"", p.name);
        }
        if p.bootable && table.kind == Some(TableKind::Mbr) {
            line += ", bootable";
        } else if p.bootable {
            line += ", attrs=\"LegacyBIOSBootable\"";
        }
        line
    };
    table.partitions.iter().map(line).collect()
}

fn tools() -> bool {
    need_program("sfdisk") && need_program("sgdisk")
}

const GPT: &str = "label: gpt\\nsize=1M,type=21686148-6449-6E6F-744E-656564454649\\n\
                   size=64M,type=U,name=esp\\n4:size=100M,name=root,attrs=LegacyBIOSBootable\\n";
const MBR: &str = "label: dos\\nlabel-id: 0x1234abcd\\nsize=64M,type=ef,bootable\\nsize=400M,type=f\\n\
                   size=200M,type=83\\nsize=40M,type=83\\nsize=50M,type=82\\nsize=60M\\n";

#[test]
fn tables_are_read_as_sfdisk_reads_them() {
    if !tools() {
        return;
    }
    for script in [GPT, MBR, "label: gpt\\n", "label: dos\\n"] {
        let disk = Disk::new(1 << 30, script);
        let table = disk.read();
        assert_eq!(dump(&table), disk.seen_by_sfdisk(), "{script}");
        assert_eq!(table.notes, [], "{script}");
        assert_eq!(table.sector, 512);
    }
    let table = Disk::new(1 << 30, MBR).read();
    let swap = table.partition(5).expect("the first logical partition");
    assert!(swap.is_logical());
    assert_eq!(swap.kind.name(), "Linux swap");
    assert_eq!(table.partuuid(swap).as_deref(), Some("1234abcd-05"));
    let numbers: Vec<_> =
        Disk::new(1 << 30, GPT).read().partitions.iter().map(|p| p.number).collect();
    assert_eq!(numbers, [1, 2, 4]);
}

#[test]
fn a_gpt_of_large_sectors_is_found() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    File::create_new(&path).unwrap().set_len(256 * MIB).unwrap();
    let shown = path.to_str().unwrap();
    let script = format!(
        "printf 'label: gpt\\nsize=10M\\nsize=20M\\n' | sfdisk -q --no-tell-kernel --sector-size 4096 {shown}"
    );
    if run(&["sh", "-c", &script]).code != 0 {
        // sfdisk before 2.40 has no such option: make the same by hand from a table of small ones.
        assert!(make_4k(&path));
    }
    let table = table::read(&mut RawFile::new(File::open(&path).unwrap()).unwrap()).unwrap();
    assert_eq!(table.sector, 4096);
    assert_eq!(table.notes, []);
    let places: Vec<_> = table.partitions.iter().map(|p| (p.start, p.len)).collect();
    assert_eq!(places, [(MIB, 10 * MIB), (11 * MIB, 20 * MIB)]);
}

/// Writes a GPT for sectors of 4096 bytes with two partitions, field by field.
#[expect(clippy::unwrap_used, reason = "a test's own set-up")]
fn make_4k(path: &Path) -> bool {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let sectors = file.metadata().unwrap().len() / 4096;
    let mut array = vec![0_u8; 128 * 128];
    for (n, (first, last)) in [(256_u64, 256 + 2559_u64), (2816, 2816 + 5119)].iter().enumerate() {
        let entry = &mut array[n * 128..];
        entry[0] = 1;
        entry[16] = 2;
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
    }
    let header = |my: u64, other: u64, at: u64| {
        let mut header = vec![0_u8; 4096];
        header[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
        for (n, value) in [my, other, 6, sectors - 6].iter().enumerate() {
            header[24 + 8 * n..32 + 8 * n].copy_from_slice(&value.to_le_bytes());
        }
        header[72..80].copy_from_slice(&at.to_le_bytes());
        header[80..84].copy_from_slice(&128_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&array).to_le_bytes());
        let sum = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    };
    let mut mbr = vec![0_u8; 512];
    mbr[446 + 4] = 0xee;
    mbr[446 + 8] = 1;
    mbr[446 + 12..446 + 16].copy_from_slice(&[0xff; 4]);
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all_at(&mbr, 0).unwrap();
    file.write_all_at(&header(1, sectors - 1, 2), 4096).unwrap();
    file.write_all_at(&array, 2 * 4096).unwrap();
    file.write_all_at(&array, (sectors - 5) * 4096).unwrap();
    file.write_all_at(&header(sectors - 1, 1, sectors - 5), (sectors - 1) * 4096).is_ok()
}

#[test]
fn a_damaged_copy_is_said_and_mended_by_a_change() {
    if !tools() {
        return;
    }
    let size = (1 << 30) + 512 * 3;
    let disk = Disk::new(size, GPT);
    let whole = disk.read();
    // The first copy's entries, then its header, then all of both.
    disk.file().write_all_at(&[9], 1024 + 130).unwrap();
    let table = disk.read();
    assert_eq!(table.partitions, whole.partitions);
    let what = "the checksum of its entries is wrong".to_owned();
    assert_eq!(table.notes, [Note::PrimaryDamaged { what }]);
    disk.file().write_all_at(&[0; 33 * 512], 512).unwrap();
    let table = disk.read();
    assert_eq!(table.partitions, whole.partitions);
    let what = "it is not there".to_owned();
    assert_eq!(table.notes, [Note::PrimaryDamaged { what: what.clone() }]);

    resize_partition(&mut disk.device(), 4, 150 * MIB).unwrap();
    let checked = run(&["sgdisk", "-v", disk.shown()]).success();
    assert!(checked.stdout.contains("No problems found."), "{}", checked.stdout);
    let table = disk.read();
    assert_eq!(table.notes, []);
    assert_eq!(table.partition(4).unwrap().len, 150 * MIB);
    assert_eq!(dump(&table), disk.seen_by_sfdisk());

    disk.file().write_all_at(&[0; 512], size - 512).unwrap();
    let table = disk.read();
    assert_eq!(table.notes, [Note::BackupDamaged { what }]);
    disk.file().write_all_at(b"X", 512 + 60).unwrap();
    assert_eq!(
        disk.error(),
        "the GUID partition table is damaged: the checksum of its header is wrong; its copy at \
         the end: it is not there"
    );
}

#[test]
fn a_gpt_follows_its_disk() {
    if !tools() {
        return;
    }
    let disk = Disk::new(512 * MIB, GPT);
    let before = disk.read();
    disk.file().set_len(2048 * MIB + 512).unwrap();
    assert_eq!(disk.read().notes, [Note::BackupNotAtEnd]);
    set_disk_size(&mut disk.device(), 2048 * MIB + 512).unwrap();
    let checked = run(&["sgdisk", "-v", disk.shown()]).success();
    assert!(checked.stdout.contains("No problems found."), "{}", checked.stdout);
    let table = disk.read();
    assert_eq!((&table.partitions, &table.notes[..]), (&before.partitions, &[][..]));
    assert_eq!(table.end, 2048 * MIB + 512 - 33 * 512);
    // What fits the new end, and nothing more.
    let room = table.room(4, table.end).unwrap().0;
    resize_partition(&mut disk.device(), 4, room).unwrap();
    let error = resize_partition(&mut disk.device(), 4, room + 512).unwrap_err();
    assert!(matches!(error, TableError::NoRoom { number: 4, .. }), "{error}");
    assert_eq!(dump(&disk.read()), disk.seen_by_sfdisk());
    // And back.
    let error = set_disk_size(&mut disk.device(), 300 * MIB).unwrap_err();
    assert!(matches!(error, TableError::DiskTooSmall { number: 4, .. }), "{error}");
    resize_partition(&mut disk.device(), 4, 100 * MIB).unwrap();
    set_disk_size(&mut disk.device(), 300 * MIB).unwrap();
    disk.file().set_len(300 * MIB).unwrap();
    let checked = run(&["sgdisk", "-v", disk.shown()]).success();
    assert!(checked.stdout.contains("No problems found."), "{}", checked.stdout);
    assert_eq!(disk.read().partitions, before.partitions);
}

#[test]
fn partitions_of_an_mbr_change_their_length() {
    if !tools() {
        return;
    }
    let disk = Disk::new(2 << 30, MBR);
    let clean = |disk: &Disk| {
        let verified = run(&["sfdisk", "--verify", disk.shown()]);
        assert_eq!(verified.code, 0, "{verified:?}");
        assert_eq!(dump(&disk.read()), disk.seen_by_sfdisk());
    };
    // A primary one, shorter, then as long as there is room.
    resize_partition(&mut disk.device(), 3, 100 * MIB).unwrap();
    clean(&disk);
    let table = disk.read();
    let room = table.room(3, table.end).unwrap().0;
    resize_partition(&mut disk.device(), 3, room).unwrap();
    clean(&disk);
    // The extended one cannot grow now; a logical one in it can up to its end.
    let table = disk.read();
    let last = table.partitions.iter().map(|p| p.number).max().unwrap();
    let room = table.room(last, table.end).unwrap().0;
    resize_partition(&mut disk.device(), last, room).unwrap();
    clean(&disk);
    resize_partition(&mut disk.device(), 5, 30 * MIB).unwrap();
    clean(&disk);
    let error = resize_partition(&mut disk.device(), 5, 300 * MIB).unwrap_err();
    assert!(matches!(error, TableError::NoRoom { number: 5, .. }), "{error}");
    let error = resize_partition(&mut disk.device(), 2, 300 * MIB).unwrap_err();
    assert_eq!(error.to_string(), "partition 2 is extended: resize a logical partition in it");
    let error = resize_partition(&mut disk.device(), 9, MIB).unwrap_err();
    assert_eq!(error.to_string(), "the disk has no partition 9");
    let error = resize_partition(&mut disk.device(), 1, 100).unwrap_err();
    assert_eq!(error.to_string(), "partition 1 cannot have 100 bytes: its sectors have 512");
}

#[test]
fn the_extended_partition_grows_with_its_last_one() {
    if !tools() {
        return;
    }
    let script = "label: dos\\nsize=64M\\nsize=200M,type=5\\n5:size=50M\\n6:size=60M\\n";
    let disk = Disk::new(1 << 30, script);
    resize_partition(&mut disk.device(), 6, 700 * MIB).unwrap();
    let verified = run(&["sfdisk", "--verify", disk.shown()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let table = disk.read();
    assert_eq!(dump(&table), disk.seen_by_sfdisk());
    assert_eq!(table.partition(6).unwrap().len, 700 * MIB);
    assert_eq!(table.partition(2).unwrap().end(), table.partition(6).unwrap().end());
}

#[test]
fn hybrid_tables_count_as_gpt_and_say_so() {
    if !tools() {
        return;
    }
    let disk = Disk::new(1 << 30, GPT);
    drop(run(&["sgdisk", "-h", "2", disk.shown()]).success());
    let table = disk.read();
    assert_eq!(table.kind, Some(TableKind::Gpt));
    assert_eq!(table.partitions.len(), 3);
    assert!(table.notes.contains(&Note::Hybrid), "{:?}", table.notes);
    // Without a protective entry Linux and firmware do not look at the GPT.
    disk.file().write_all_at(&[0; 66], 446).unwrap();
    let table = disk.read();
    assert_eq!((table.kind, &table.notes[..]), (None, &[Note::NoProtectiveMbr][..]));
}

#[test]
fn whole_disks_have_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fs.raw");
    let shown = path.to_str().unwrap();
    let makers: &[&[&str]] = &[
        &["mkfs.vfat", "-F", "12", shown],
        &["mkfs.vfat", "-F", "32", shown],
        &["mkfs.ntfs", "-q", "-F", "-f", shown],
        &["mke2fs", "-q", "-F", "-t", "ext4", shown],
        &["true"],
    ];
    for maker in makers {
        if maker[0] != "true" && !need_program(maker[0]) {
            continue;
        }
        File::create(&path).unwrap().set_len(64 * MIB).unwrap();
        drop(run(maker).success());
        let table = table::read(&mut RawFile::new(File::open(&path).unwrap()).unwrap()).unwrap();
        assert_eq!((table.kind, table.partitions.len()), (None, 0), "{maker:?}");
        assert_eq!(table.notes, []);
    }
}

/// A disk with an MBR of the given entries: type, first sector, sectors.
fn mbr(size: u64, entries: &[(u8, u32, u32)]) -> RawFile {
    let file = tempfile::tempfile().expect("a file");
    file.set_len(size).expect("room");
    let mut device = RawFile::new(file).expect("a file");
    device.write_at(0, &table_sector(entries)).expect("room");
    device
}

fn table_sector(entries: &[(u8, u32, u32)]) -> [u8; 512] {
    let mut sector = [0; 512];
    for (n, (kind, start, len)) in entries.iter().enumerate() {
        let at = 446 + 16 * n;
        sector[at + 4] = *kind;
        sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        sector[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[test]
fn chains_that_lead_back_are_refused() {
    let mut device = mbr(MIB, &[(5, 100, 1000)]);
    device.write_at(100 * 512, &table_sector(&[(0x83, 1, 10), (5, 50, 100)])).unwrap();
    device.write_at(150 * 512, &table_sector(&[(0x83, 1, 10), (5, 0, 100)])).unwrap();
    let error = table::read(&mut device).unwrap_err().to_string();
    assert_eq!(error, "the chain of logical partitions is damaged: it leads back to sector 100");
    // To itself.
    device.write_at(100 * 512, &table_sector(&[(0x83, 1, 10), (5, 0, 100)])).unwrap();
    assert!(table::read(&mut device).is_err());
    // Endless, each link new.
    let mut device = mbr(MIB, &[(0x0f, 1, 2000)]);
    for n in 0..1000_u32 {
        let link = table_sector(&[(0x83, 1, 1), (0x0f, n + 1, 1)]);
        device.write_at(u64::from(n + 1) * 512, &link).unwrap();
    }
    let error = table::read(&mut device).unwrap_err().to_string();
    assert_eq!(error, "the chain of logical partitions is damaged: it has more than 252 links");
}

#[test]
fn entries_beyond_the_disk_are_cut_or_ignored() {
    let entries = [(0x83, 10, 20), (0x83, 25, u32::MAX), (0x83, u32::MAX, u32::MAX), (5, 9000, 1)];
    let mut device = mbr(MIB, &entries);
    let table = table::read(&mut device).unwrap();
    let places: Vec<_> = table.partitions.iter().map(|p| (p.number, p.start, p.len)).collect();
    assert_eq!(places, [(1, 5120, 10_240), (2, 12_800, MIB - 12_800)]);
    assert_eq!(
        table.notes,
        [
            Note::CutOff { number: 2 },
            Note::Ignored { number: 3 },
            Note::Ignored { number: 4 },
            Note::ChainEnds { sector: 9000 },
            Note::Overlap { first: 1, second: 2 },
        ]
    );
    // Nothing that can be no table at all.
    let mut device = mbr(MIB, &[]);
    device.write_at(446, &[0x12]).unwrap();
    assert_eq!(table::read(&mut device).unwrap().kind, None);
    let mut tiny = mbr(1024, &[(0xee, 1, 1)]);
    assert!(matches!(table::read(&mut tiny).unwrap_err(), TableError::Gpt { .. }));
    let mut empty = RawFile::new(tempfile::tempfile().unwrap()).unwrap();
    assert_eq!(table::read(&mut empty).unwrap().kind, None);
}

#[test]
fn hostile_headers_are_refused_with_a_right_checksum() {
    if !tools() {
        return;
    }
    // Field, value and width; both headers get it.
    let cases: &[(usize, u64, usize)] = &[
        (80, u64::from(u32::MAX), 4),
        (80, 0, 4),
        (84, 0, 4),
        (84, 127, 4),
        (84, 1 << 31, 4),
        (72, u64::MAX, 8),
        (72, 0, 8),
        (40, u64::MAX, 8),
        (48, u64::MAX, 8),
        (12, 0, 4),
        (12, u64::from(u32::MAX), 4),
        (24, 77, 8),
    ];
    let size = 64 * MIB;
    let disk = Disk::new(size, "label: gpt\\nsize=10M\\n");
    for &(at, value, width) in cases {
        let copy = Disk::new(size, "label: gpt\\nsize=10M\\n");
        for place in [512, size - 512] {
            let mut header = [0; 512];
            disk.device().read_at(place, &mut header).unwrap();
            header[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            header[16..20].fill(0);
            let sum = crc32fast::hash(&header[..92]);
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            copy.file().write_all_at(&header, place).unwrap();
        }
        let error = table::read(&mut copy.device()).unwrap_err();
        assert!(matches!(error, TableError::Gpt { .. }), "{at} {value}: {error}");
    }
}

#[test]
fn entries_of_a_gpt_that_cannot_be_are_ignored() {
    if !tools() {
        return;
    }
    let size = 64 * MIB;
    let disk = Disk::new(size, "label: gpt\\nsize=10M\\nsize=10M\\nsize=10M\\n");
    let mut array = vec![0; 128 * 128];
    let mut device = disk.device();
    device.read_at(1024, &mut array).unwrap();
    // One that ends before it begins, one of size 0, one beyond the end.
    array[40..48].copy_from_slice(&7_u64.to_le_bytes());
    let first = array[128 + 32..128 + 40].to_vec();
    let before = u64::from_le_bytes(first.try_into().unwrap()) - 1;
    array[128 + 40..128 + 48].copy_from_slice(&before.to_le_bytes());
    array[256 + 40..256 + 48].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut header = [0; 512];
    device.read_at(512, &mut header).unwrap();
    header[88..92].copy_from_slice(&crc32fast::hash(&array).to_le_bytes());
    header[16..20].fill(0);
    let sum = crc32fast::hash(&header[..92]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    device.write_at(512, &header).unwrap();
    device.write_at(1024, &array).unwrap();
    let table = disk.read();
    assert_eq!(table.partitions, []);
    let ignored = table.notes.iter().filter(|note| matches!(note, Note::Ignored { .. })).count();
    assert_eq!(ignored, 3);
}

#[test]
fn kinds_have_the_names_that_people_know() {
    let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b".parse().unwrap();
    assert_eq!(PartitionKind::Gpt(esp).name(), "EFI system");
    assert!(PartitionKind::Gpt(esp).is_esp());
}
