// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Valid inputs, small, made by the tools that people use and the same each time.

use std::fs::File;
use std::path::Path;

use kiln_disk::device::RawFile;
use kiln_disk::fs::ext::{Access, Attrs, Time};
use kiln_disk::fs::fat::{FatFs, FatImage, Node};
use kiln_disk::fs::iso9660::Iso;
use kiln_testkit::fuzz::Seed;
use kiln_testkit::run;

use crate::targets::CANARY;

const TIME: u64 = 1_700_000_000;

fn seed(name: &'static str, bytes: Vec<u8>, hot: &[std::ops::Range<usize>]) -> Seed {
    Seed { name, bytes, hot: hot.to_vec(), big_endian: false }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("folders of tests have plain names")
}

/// Runs a program that must do its work.
fn tool(argv: &[&str]) {
    let _ = run(argv).success();
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it was just made")
}

/// A disk of 4 MiB with something here and there.
fn disk(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("disk.raw");
    let mut bytes = vec![0; 4 << 20];
    for at in [0, 70_000, 1 << 20, (3 << 20) + 5] {
        for (n, b) in bytes[at..at + 40_000].iter_mut().enumerate() {
            *b = u8::try_from(n % 251).expect("below 251");
        }
    }
    std::fs::write(&path, bytes).expect("the folder can be written");
    path
}

pub(crate) fn qcow2(folder: &Path) -> Vec<Seed> {
    let disk = disk(folder);
    let kinds: [(&'static str, &[&str]); 6] = [
        ("v3", &["-o", "compat=1.1"]),
        ("v2", &["-o", "compat=0.10"]),
        ("small", &["-o", "cluster_size=512"]),
        ("zlib", &["-c"]),
        ("zstd", &["-c", "-o", "compression_type=zstd"]),
        ("lazy", &["-o", "lazy_refcounts=on,extended_l2=on,cluster_size=128k"]),
    ];
    let mut seeds = Vec::new();
    for (name, options) in kinds {
        let out = folder.join(name);
        let base = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"];
        tool(&[&base[..], options, &[text(&disk), text(&out)]].concat());
        seeds.push(qcow2_seed(name, read(&out)));
    }
    let out = folder.join("10t");
    tool(&["qemu-img", "create", "-q", "-f", "qcow2", text(&out), "10T"]);
    seeds.push(qcow2_seed("10t", read(&out)));
    seeds
}

/// Header, first and second tables, and reference counts are where changes are worth most.
fn qcow2_seed(name: &'static str, bytes: Vec<u8>) -> Seed {
    let number = |at: usize| {
        let word = bytes[at..at + 8].first_chunk().expect("eight bytes");
        usize::try_from(u64::from_be_bytes(*word) & 0x00ff_ffff_ffff_fe00).expect("64 bits")
    };
    let (l1, counts) = (number(40), number(48));
    let mut hot = vec![0..112, 0..112, 112..512, l1..l1 + 64, counts..counts + 64];
    let (l2, block) = (number(l1), number(counts));
    for table in [l2, block].into_iter().filter(|at| *at > 0 && at + 512 <= bytes.len()) {
        hot.push(table..table + 512);
    }
    Seed { name, bytes, hot, big_endian: true }
}

/// Images of a chain that leads back or to another.
pub(crate) fn backing(folder: &Path) -> Vec<Seed> {
    let disk = disk(folder);
    let base = folder.join("base.qcow2");
    tool(&["qemu-img", "convert", "-O", "qcow2", text(&disk), text(&base)]);
    let mut seeds = Vec::new();
    for (name, file) in [("itself", "image.qcow2"), ("none", "not-there.qcow2")] {
        let out = folder.join(name);
        let create = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", file];
        tool(&[&create[..], &[text(&out), "4M"]].concat());
        seeds.push(qcow2_seed(name, read(&out)));
    }
    seeds
}

/// What is found out by its first bytes, and the formats that are not read in process.
pub(crate) fn probe(folder: &Path) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = qcow2(folder).into_iter().take(3).collect();
    let disk = folder.join("disk.raw");
    for name in ["vmdk", "vhdx", "vpc", "vdi", "qed", "parallels"] {
        let out = folder.join(name);
        tool(&["qemu-img", "create", "-q", "-f", name, text(&out), "4M"]);
        let bytes = read(&out);
        // What matters is at the beginning, and the rest may be long.
        let len = bytes.len().min(256 << 10);
        seeds.push(seed(name, bytes[..len].to_vec(), &[0..1024, 0..512, 0..65536]));
    }
    let out = folder.join("flat");
    let kind = ["-O", "vmdk", "-o", "subformat=monolithicFlat"];
    tool(&[&["qemu-img", "convert"][..], &kind, &[text(&disk), text(&out)]].concat());
    seeds.push(seed("descriptor", read(&out), &[0..256, 0..512]));
    seeds.push(seed("gzip", b"\x1f\x8b\x08\0\0\0\0\0".repeat(64), &[0..32, 0..64]));
    seeds.extend(table(folder));
    seeds
}

/// What is on a device.
pub(crate) fn identify(folder: &Path) -> Vec<Seed> {
    let mut seeds = [ext(folder), fat(folder), iso(folder), table(folder)].concat();
    let makers: [(&'static str, &str, &[&str]); 4] = [
        ("xfs", "300M", &["mkfs.xfs", "-q", "-L", "label"]),
        ("btrfs", "120M", &["mkfs.btrfs", "-q", "-L", "label"]),
        ("swap", "1M", &["mkswap", "-q", "-L", "label"]),
        ("ntfs", "2M", &["mkfs.ntfs", "-q", "-F", "-f", "-L", "label"]),
    ];
    for (name, size, argv) in makers {
        let out = folder.join(name);
        tool(&["truncate", "-s", size, text(&out)]);
        if run(&[argv, &[text(&out)]].concat()).code != 0 {
            continue;
        }
        let bytes = read(&out);
        let len = bytes.len().min(128 << 10);
        let hot = [0..512, 0..4096, 0x10000..0x10400];
        seeds.push(seed(name, bytes[..len].to_vec(), &hot));
    }
    seeds
}

pub(crate) fn table(folder: &Path) -> Vec<Seed> {
    let script = folder.join("script");
    let scripts = [
        ("gpt", "label: gpt\nlabel-id: 00000000-0000-4000-8000-000000000001\n,1M,U\n,1M,L\n,,L\n"),
        ("mbr", "label: dos\nlabel-id: 0x12345678\n,1M,c,*\n,1M,L\n,,E\n,512K,L\n,512K,L\n,,L\n"),
        ("one", "label: dos\nlabel-id: 0x12345678\n,,L\n"),
    ];
    let mut seeds = Vec::new();
    for (name, text_of) in scripts {
        let out = folder.join(name);
        std::fs::write(&script, text_of).expect("the folder can be written");
        tool(&["truncate", "-s", "8M", text(&out)]);
        let command = format!("sfdisk -q {} < {}", text(&out), text(&script));
        tool(&["sh", "-c", &command]);
        let bytes = read(&out);
        let end = bytes.len();
        let mut hot = vec![440..512, 446..510];
        if name == "gpt" {
            hot.extend([
                512..604,
                1024..1408,
                end - 512..end - 420,
                end - 33 * 512..end - 32 * 512,
            ]);
        }
        if name == "mbr" {
            // The tables of the logical partitions.
            hot.extend([3 << 20, (3 << 20) + (512 << 10)].map(|at| at + 446..at + 512));
            hot.extend(chain(&bytes));
        }
        seeds.push(seed(name, bytes, &hot));
    }
    seeds
}

/// Where the tables of logical partitions are.
fn chain(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let tables = bytes.chunks(512).enumerate().filter(|(_, b)| b.ends_with(&[0x55, 0xaa]));
    tables.map(|(n, _)| n * 512 + 446..n * 512 + 512).collect()
}

/// Makes the checksums of a GPT right again, in both headers.
pub(crate) fn mend_table(bytes: &mut [u8]) {
    let len = bytes.len();
    for header in [512, len.saturating_sub(512)] {
        let Some(found) = bytes.get(header..header + 92).filter(|b| b.starts_with(b"EFI PART"))
        else {
            continue;
        };
        let number = |at: usize| {
            let word = found[at..at + 4].first_chunk().expect("four bytes");
            usize::try_from(u32::from_le_bytes(*word)).expect("32 bits")
        };
        let (entries, count, size) = (number(72), number(80), number(84));
        let table = entries.checked_mul(512).zip(count.checked_mul(size));
        let table = table.and_then(|(at, len)| bytes.get(at..at.checked_add(len)?));
        if let Some(sum) = table.map(crc32fast::hash) {
            bytes[header + 88..header + 92].copy_from_slice(&sum.to_le_bytes());
        }
        bytes[header + 16..header + 20].fill(0);
        let sum = crc32fast::hash(&bytes[header..header + 92]);
        bytes[header + 16..header + 20].copy_from_slice(&sum.to_le_bytes());
    }
}

pub(crate) fn ext(folder: &Path) -> Vec<Seed> {
    let root = folder.join("root");
    if !root.exists() {
        std::fs::create_dir_all(root.join("dir/below")).expect("the folder can be written");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(root.join(name), bytes).expect("the folder can be written");
        };
        write("a", b"contents of a");
        write("b", &[7; 30_000]);
        write("dir/below/c", b"c");
        std::os::unix::fs::symlink("below", root.join("dir/link"))
            .expect("the folder can be written");
        std::os::unix::fs::symlink("x".repeat(100), root.join("long")).expect("as above");
        (0..40).for_each(|n| write(&format!("dir/file-with-a-name-{n}"), b""));
    }
    let uuid = "00000000-0000-4000-8000-000000000002";
    let kinds: [(&'static str, &[&str]); 5] = [
        ("ext2", &["-t", "ext2"]),
        ("ext3", &["-t", "ext3", "-J", "size=1"]),
        ("ext4", &["-t", "ext4", "-J", "size=1"]),
        ("nosums", &["-t", "ext4", "-O", "^has_journal,^metadata_csum"]),
        ("inline", &["-t", "ext4", "-O", "^has_journal,^metadata_csum,inline_data"]),
    ];
    let mut seeds = Vec::new();
    for (name, options) in kinds {
        let out = folder.join(name);
        let _ = std::fs::remove_file(&out);
        let size = if options.contains(&"-J") { "3M" } else { "512K" };
        let common =
            ["mke2fs", "-q", "-F", "-b", "1024", "-N", "128", "-U", uuid, "-d", text(&root)];
        let hash = format!("hash_seed={uuid}");
        tool(&[&common[..], &["-E", &hash], options, &[text(&out), size]].concat());
        let bytes = read(&out);
        let number = |at: usize| {
            let word = bytes[at..at + 4].first_chunk().expect("four bytes");
            usize::try_from(u32::from_le_bytes(*word)).expect("32 bits")
        };
        // The group's description is in block 2; its inodes begin where that says.
        let inodes = number(2048 + 8) * 1024;
        let mut hot = vec![1024..1400, 1024..1160, 2048..2112, inodes..inodes + 32 * 256];
        // What directories and extents fill: the blocks after the inodes.
        let data = inodes + 128 * 256;
        hot.push(data..(data + 24 * 1024).min(bytes.len()));
        hot.push(data..data + 1024);
        seeds.push(seed(name, bytes, &hot));
    }
    seeds
}

pub(crate) fn fat(folder: &Path) -> Vec<Seed> {
    let source = folder.join("source");
    std::fs::write(&source, vec![9; 9000]).expect("the folder can be written");
    let mut seeds = Vec::new();
    for (name, bits, kib) in
        [("fat12", "12", "360"), ("fat16", "16", "2500"), ("fat32", "32", "700")]
    {
        let out = folder.join(name);
        let _ = std::fs::remove_file(&out);
        let (image, from) = (text(&out), text(&source));
        tool(&[
            "mkfs.vfat",
            "-F",
            bits,
            "-s",
            "1",
            "-i",
            "1a2b3c4d",
            "-n",
            "LABEL",
            "-C",
            image,
            kib,
        ]);
        // mtools take such a small FAT32 for FAT12.
        if bits == "32" {
            fill(&out, &read(&source));
        } else {
            tool(&["mmd", "-i", image, "::dir", "::dir/below"]);
            for to in ["::A.TXT", "::a long name.txt", "::dir/below/another long name.txt"] {
                tool(&["mcopy", "-i", image, from, to]);
            }
        }
        let bytes = read(&out);
        let word = |at: usize| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8;
        let table = word(14) * 512;
        let len = if word(22) == 0 { word(36) } else { word(22) } * 512;
        let data = table + 2 * len;
        let hot =
            [0..64, 11..40, table..table + 128, data..data + 512, data..data + 16384, 512..1024];
        seeds.push(seed(name, bytes, &hot));
    }
    let mut image = FatImage::new("esp", 1, TIME);
    image.add("EFI/BOOT/BOOTX64.EFI", vec![1; 3000]).expect("a good path");
    let path = folder.join("esp");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let file = file.expect("the folder can be written");
    file.set_len(3 << 20).expect("the folder can be written");
    image.write(&mut RawFile::new(file).expect("a device")).expect("room");
    seeds.push(seed("esp", read(&path), &[0..64, 512..640, 0x6000..0x8000]));
    seeds
}

/// Puts files into a FAT file system.
fn fill(path: &Path, bytes: &[u8]) {
    let file = File::options().read(true).write(true).open(path).expect("it was just made");
    let device = Box::new(RawFile::new(file).expect("a device"));
    let mtime = Time { seconds: 1_700_000_000, nanos: 0 };
    let attrs = Attrs { mode: 0o644, uid: 0, gid: 0, mtime };
    let access = Access::Write { now: mtime.seconds };
    let mut fs = FatFs::open(device, access).expect("a file system");
    let add = |fs: &mut FatFs, dir, name: &[u8]| {
        fs.write_file(dir, name, &mut &*bytes, &attrs).expect("room");
    };
    add(&mut fs, Node::ROOT, b"A.TXT");
    add(&mut fs, Node::ROOT, b"a long name.txt");
    let dir = fs.mkdir(Node::ROOT, b"dir", &attrs).expect("room");
    let below = fs.mkdir(dir, b"below", &attrs).expect("room");
    add(&mut fs, below, b"another long name.txt");
    fs.close().expect("a file can be written");
}

pub(crate) fn iso(folder: &Path) -> Vec<Seed> {
    let root = folder.join("iso-root");
    let deep = root.join("1/2/3/4/5/6/7/8/9");
    std::fs::create_dir_all(&deep).expect("the folder can be written");
    std::fs::write(deep.join("deep"), b"deep").expect("as above");
    std::fs::write(root.join("A file with a name"), vec![3; 5000]).expect("as above");
    std::fs::write(root.join("boot.img"), vec![4; 2048]).expect("as above");
    std::fs::write(root.join("n".repeat(250)), b"long").expect("as above");
    let _ = std::os::unix::fs::symlink("/usr/lib/x", root.join("link"));
    let mut seeds = Vec::new();
    let common = ["genisoimage", "-quiet", "-b", "boot.img", "-no-emul-boot", "-c", "boot.cat"];
    let kinds: [(&'static str, &[&str]); 3] = [
        ("rock", &["-R"]),
        ("joliet", &["-J", "-joliet-long"]),
        ("both", &["-R", "-J", "-joliet-long"]),
    ];
    for (name, options) in kinds {
        let out = folder.join(name);
        tool(&[&common[..], options, &["-o", text(&out), text(&root)]].concat());
        let bytes = read(&out);
        let end = bytes.len().min(120 << 10);
        let hot = [0x8000..0x8100, 0x8800..0x9100, 0xa000..end, 0xb000..0x10000];
        seeds.push(seed(name, bytes, &hot));
    }
    let own = Iso::new("cidata", TIME).file("user-data", "#cloud-config\n").file("a/b", "c");
    let bytes = own.build().expect("a small file system");
    let end = bytes.len();
    seeds.push(seed("own", bytes, &[0x8000..0x8100, 0x9000..end]));
    seeds
}

pub(crate) fn tar(_: &Path) -> Vec<Seed> {
    let mut plain = Vec::new();
    member(&mut plain, b"etc/", b'5', b"");
    member(&mut plain, b"etc/hostname", b'0', b"name\n");
    member(&mut plain, b"etc/link", b'2', b"");
    member(&mut plain, b"etc/hard", b'1', b"");
    plain.resize(plain.len() + 1024, 0);
    let mut pax = Vec::new();
    let records = b"30 mtime=1700000000.123456789\n15 path=a/long\n26 SCHILY.xattr.user.u=v\n\n";
    member(&mut pax, b"x", b'x', records);
    member(&mut pax, b"short", b'0', &[5; 700]);
    member(&mut pax, b"g", b'g', b"10 uid=77\n");
    member(&mut pax, b"other", b'0', b"");
    pax.resize(pax.len() + 1024, 0);
    let mut gnu = Vec::new();
    member(&mut gnu, b"././@LongLink", b'L', &[b'n'; 200]);
    member(&mut gnu, b"n", b'0', b"long");
    member(&mut gnu, b"././@LongLink", b'K', &[b't'; 200]);
    member(&mut gnu, b"l", b'2', b"");
    gnu.resize(gnu.len() + 1024, 0);
    [("plain", plain), ("pax", pax), ("gnu", gnu)]
        .into_iter()
        .map(|(name, bytes)| {
            let headers = (0..bytes.len() / 512).map(|n| n * 512..n * 512 + 345);
            seed(name, bytes.clone(), &headers.collect::<Vec<_>>())
        })
        .collect()
}

/// Appends a member of a tar archive; links lead to `etc/hostname`.
pub(crate) fn member(to: &mut Vec<u8>, path: &[u8], kind: u8, contents: &[u8]) {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &path[..path.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", contents.len()).as_bytes());
    put(136, b"14524724000\0");
    put(156, &[kind]);
    if matches!(kind, b'1' | b'2') {
        put(157, b"etc/hostname");
    }
    put(257, b"ustar\x0000");
    to.extend_from_slice(&header);
    to.extend_from_slice(contents);
    to.resize(to.len().next_multiple_of(512), 0);
    let end = to.len();
    mend_tar(&mut to[end - 512 - contents.len().next_multiple_of(512)..]);
}

/// Makes the checksum of each header right again: of each block that has `ustar` in it.
pub(crate) fn mend_tar(bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512).filter(|b| b[257..262] == *b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// What a server says to the requests of the target, in order.
pub(crate) fn nbd(_: &Path) -> Vec<Seed> {
    let mut b = b"NBDMAGICIHAVEOPT\0\x03".to_vec();
    let mut reply = |option: u32, kind: u32, data: &[u8]| {
        b.extend(0x0003_e889_0455_65a9_u64.to_be_bytes());
        b.extend(
            [option, kind, u32::try_from(data.len()).expect("short")]
                .map(u32::to_be_bytes)
                .concat(),
        );
        b.extend_from_slice(data);
    };
    reply(8, 1, b"");
    reply(10, 4, b"\0\0\0\x07base:allocation");
    reply(10, 1, b"");
    // 1 MiB; flags are valid, flush, write zeroes.
    reply(7, 3, b"\0\0\0\0\0\0\0\x10\0\0\0\x45");
    reply(7, 1, b"");
    let mut chunk = |cookie: u64, kind: u16, data: &[u8]| {
        b.extend(0x668e_33ef_u32.to_be_bytes());
        b.extend([1, kind].map(u16::to_be_bytes).concat());
        b.extend(cookie.to_be_bytes());
        b.extend(u32::try_from(data.len()).expect("short").to_be_bytes());
        b.extend_from_slice(data);
    };
    chunk(1, 1, &[[0; 8].as_slice(), &[0x5a; 512]].concat());
    chunk(2, 5, b"\0\0\0\x07\0\x10\0\0\0\0\0\x03");
    chunk(3, 0, b"");
    chunk(4, 0, b"");
    chunk(5, 0, b"");
    let hot = (0..b.len()).step_by(64).map(|at| at..(at + 64).min(b.len())).collect();
    vec![Seed { name: "server", bytes: b, hot, big_endian: true }]
}

/// Makes the files of the host that cases name, and returns their folder.
pub(crate) fn canaries(folder: &Path) -> std::path::PathBuf {
    let canaries = folder.join("host");
    std::fs::create_dir_all(&canaries).expect("the folder can be written");
    let mut raw = CANARY.to_vec();
    raw.resize(4 << 20, 0);
    std::fs::write(canaries.join("secret"), raw).expect("the folder can be written");
    canaries
}
