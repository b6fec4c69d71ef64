// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cases on purpose: what somebody would send who knows how such files are read.

use std::path::Path;

use kiln_testkit::fuzz::{Case, Edit};

use crate::seeds::member;

fn be(at: usize, width: usize, value: u64) -> Edit {
    Edit::Put(at, value.to_be_bytes()[8 - width..].to_vec())
}

fn le(at: usize, width: usize, value: u64) -> Edit {
    Edit::Put(at, value.to_le_bytes()[..width].to_vec())
}

fn each(target: &str, seed: &str, edits: &[Edit]) -> Vec<Case> {
    edits.iter().map(|edit| Case::new(target, seed, std::slice::from_ref(edit))).collect()
}

/// Returns all of them; some name files in `host`.
pub(crate) fn all(host: &Path) -> Vec<Case> {
    [
        qcow2_fields(),
        qcow2_names(host),
        chains(),
        foreign(host),
        tables(),
        ext(),
        fat(),
        iso(),
        tar(),
        nbd(),
    ]
    .concat()
}

/// qcow2 2.0, docs/interop/qcow2.rst of QEMU.
fn qcow2_fields() -> Vec<Case> {
    let tables = [
        be(4, 4, 0),
        be(4, 4, 4),
        be(4, 4, u64::MAX),
        be(20, 4, 0),
        be(20, 4, 8),
        be(20, 4, 22),
        be(20, 4, 63),
        be(20, 4, 64),
        be(20, 4, u64::MAX),
        // 10 TiB, 8 EiB and all there is, with a first table for 4 MiB.
        be(24, 8, 10 << 40),
        be(24, 8, 1 << 63),
        be(24, 8, u64::MAX),
        be(24, 8, 0),
        be(24, 8, 513),
        be(32, 4, 1),
        be(32, 4, 2),
        be(32, 4, 77),
        be(36, 4, 0),
        be(36, 4, 1 << 22),
        be(36, 4, u64::MAX),
        be(40, 8, 0),
        be(40, 8, 1),
        be(40, 8, 1 << 40),
        be(40, 8, u64::MAX),
        be(40, 8, u64::MAX << 9),
        be(48, 8, 0),
        be(48, 8, 3),
        be(48, 8, 1 << 50),
        be(48, 8, u64::MAX << 9),
        be(56, 4, 0),
        be(56, 4, 1 << 20),
        be(56, 4, u64::MAX),
        be(60, 4, 1),
        be(60, 4, 65537),
        be(60, 4, u64::MAX),
        be(64, 8, u64::MAX),
        // Dirty, corrupt, external data, compression, extended L2, what nobody knows.
        be(72, 8, 1),
        be(72, 8, 2),
        be(72, 8, 4),
        be(72, 8, 8),
        be(72, 8, 16),
        be(72, 8, 1 << 40),
        be(80, 8, u64::MAX),
        be(88, 8, u64::MAX),
        be(96, 4, 7),
        be(96, 4, 64),
        be(96, 4, u64::MAX),
        be(100, 4, 0),
        be(100, 4, 72),
        be(100, 4, 105),
        be(100, 4, 1 << 17),
        be(100, 4, u64::MAX),
        Edit::Len(0),
        Edit::Len(4),
        Edit::Len(71),
        Edit::Len(104),
        Edit::Len(512),
        Edit::Len(65536),
        Edit::Len(200_000),
    ];
    let mut cases = each("qcow2", "v3", &tables);
    cases.extend(each("qcow2", "v2", &[be(4, 4, 3), be(60, 4, 9), be(100, 4, 104), Edit::Len(72)]));
    // The first and second tables, the counts: pointing at each other, the header, past the end.
    for to in [
        0,
        1 << 63,
        (1 << 63) | 0x10000,
        (1 << 63) | 0x20000,
        (1 << 63) | 0x30000,
        (1 << 63) | (1 << 55),
        (1 << 62) | 0x50000,
        u64::MAX,
        0x7ff,
    ] {
        for at in [0x30000, 0x10000, 0x20000, 0x40000, 0x40008] {
            cases.push(Case::new("qcow2", "v3", &[be(at, 8, to)]));
        }
    }
    cases
}

/// Names of other files: as a backing file, as the file with the data.
fn qcow2_names(host: &Path) -> Vec<Case> {
    let secret = host.join("secret");
    let secret = secret.to_str().expect("folders of tests have plain names");
    let json =
        format!(r#"json:{{"driver":"raw","file":{{"driver":"file","filename":"{secret}"}}}}"#);
    let names = [
        secret.to_owned(),
        format!("file:{secret}"),
        format!("raw:{secret}"),
        json,
        format!("file://{secret}"),
        format!("host_device:{secret}"),
        "host/secret".to_owned(),
        "./host/../host/secret".to_owned(),
        "/dev/zero".to_owned(),
        "/proc/self/mem".to_owned(),
        "/etc/passwd".to_owned(),
        "nbd://localhost:1/x".to_owned(),
        "image.qcow2".to_owned(),
        "ssh://root@localhost/x".to_owned(),
        "rbd:pool/image".to_owned(),
        "fat:/etc".to_owned(),
        "http://localhost:1/x".to_owned(),
        "x\n\u{1b}[2Jx".to_owned(),
        "\0".to_owned(),
        "n".repeat(1023),
        "n".repeat(1024),
        "n".repeat(60_000),
    ];
    let mut cases = Vec::new();
    for name in names {
        let len = u64::try_from(name.len()).expect("short");
        let bytes = Edit::Put(1024, name.clone().into_bytes());
        let pointer = [be(8, 8, 1024), be(16, 4, len), bytes];
        for seed in ["v3", "v2"] {
            cases.push(Case::new("qcow2", seed, &pointer));
            cases.push(Case::new("probe", seed, &pointer));
        }
        // An external file for the data: the bit, and its name as an extension of the header.
        let mut extension = 0x4441_5441_u32.to_be_bytes().to_vec();
        extension.extend(u32::try_from(name.len()).expect("short").to_be_bytes());
        extension.extend(name.into_bytes());
        extension.resize(extension.len().next_multiple_of(8) + 8, 0);
        cases.push(Case::new(
            "qcow2",
            "v3",
            &[be(72, 8, 4), be(88, 8, 2), Edit::Put(104, extension)],
        ));
    }
    let wrong = [be(8, 8, u64::MAX), be(8, 8, 1 << 30), be(8, 8, 4), be(16, 4, u64::MAX)];
    cases
        .extend(wrong.map(|edit| Case::new("qcow2", "v3", &[be(8, 8, 1024), be(16, 4, 10), edit])));
    cases
}

fn chains() -> Vec<Case> {
    vec![
        Case::new("backing", "itself", &[]),
        Case::new("backing", "none", &[]),
        Case::new("backing", "itself", &[Edit::Len(65536)]),
    ]
}

/// Headers of the formats that are not read in process, with names of the host's files.
fn foreign(host: &Path) -> Vec<Case> {
    let secret = host.join("secret");
    let secret = secret.to_str().expect("folders of tests have plain names");
    let mut cases = Vec::new();
    for extent in [
        format!("RW 8192 FLAT \"{secret}\" 0"),
        "RW 8192 FLAT \"/dev/zero\" 0".to_owned(),
        "RW 8192 FLAT \"../../etc/passwd\" 0".to_owned(),
        "RW 99999999999999999999 ZERO".to_owned(),
        "RW -1 SPARSE \"x\"".to_owned(),
        "RW 8192 VMFSRDM \"/dev/sda\"".to_owned(),
        "RW 1 FLAT \"".to_owned() + &"a".repeat(5000),
        "RW\n".repeat(2000),
        "RW 1 FLAT \"\u{1b}[2J\" 0".to_owned(),
    ] {
        let text =
            format!("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n{extent}\n");
        let put = [Edit::Len(0), Edit::Put(0, text.into_bytes()), Edit::Len(20_480)];
        cases.push(Case::new("probe", "descriptor", &put));
    }
    for seed in ["vmdk", "vhdx", "vpc", "vdi", "qed", "parallels"] {
        cases.push(Case::new("probe", seed, &[]));
        cases.extend(each(
            "probe",
            seed,
            &[Edit::Len(0), Edit::Len(64), Edit::Len(511), Edit::Len(65536)],
        ));
        cases.extend(each(
            "probe",
            seed,
            &[4, 8, 12, 16, 28, 56, 64].map(|at| be(at, 8, u64::MAX)),
        ));
    }
    cases
}

/// UEFI 2.10, 5.3; the old table at 446.
fn tables() -> Vec<Case> {
    let gpt = [
        le(512 + 12, 4, 0),
        le(512 + 12, 4, 91),
        le(512 + 12, 4, 513),
        le(512 + 12, 4, u64::MAX),
        le(512 + 24, 8, 0),
        le(512 + 32, 8, u64::MAX),
        le(512 + 32, 8, 0),
        le(512 + 40, 8, u64::MAX),
        le(512 + 48, 8, 0),
        le(512 + 48, 8, u64::MAX),
        le(512 + 72, 8, 0),
        le(512 + 72, 8, u64::MAX),
        le(512 + 72, 8, 1 << 55),
        le(512 + 80, 4, 0),
        le(512 + 80, 4, u64::MAX),
        le(512 + 80, 4, 1 << 24),
        le(512 + 84, 4, 0),
        le(512 + 84, 4, 1),
        le(512 + 84, 4, 127),
        le(512 + 84, 4, 1 << 31),
        // The first partition: past the end, backwards, over the table, over the next.
        le(1024 + 32, 8, u64::MAX),
        le(1024 + 40, 8, u64::MAX),
        le(1024 + 40, 8, 0),
        le(1024 + 32, 8, 0),
        le(1024 + 40, 8, 1 << 62),
        le(1024 + 40, 8, 5000),
        Edit::Put(1024 + 56, vec![0xd8; 72]),
        Edit::Put(1024 + 56, vec![b'/', 0, b'.', 0, b'.', 0, 0x1b, 0]),
        Edit::Len(512),
        Edit::Len(1024),
        Edit::Len(1 << 20),
        Edit::Len((8 << 20) - 512),
        Edit::Len(16 << 20),
        Edit::Put(446, vec![0; 64]),
        Edit::Put(510, vec![0, 0]),
        Edit::Put(512, vec![0; 512]),
    ];
    let mut cases = each("table", "gpt", &gpt);
    let logical = (3 << 20) + 446;
    let mbr = [
        le(446 + 8, 4, 0),
        le(446 + 8, 4, u64::MAX),
        le(446 + 12, 4, u64::MAX),
        le(446 + 4, 1, 0xee),
        le(446 + 4, 1, 5),
        le(478 + 8, 4, 1),
        le(478 + 12, 4, u64::MAX),
        le(446, 1, 0x81),
        // The chain of logical partitions: to itself, back to the first, past the end, to the disk.
        le(logical + 16 + 8, 4, 0),
        le(logical + 16 + 4, 1, 5),
        le(logical + 8, 4, u64::MAX),
        le(logical + 16 + 8, 4, u64::MAX),
        le(logical + 12, 4, 0),
        Edit::Len(512),
        Edit::Len(3 << 20),
    ];
    cases.extend(each("table", "mbr", &mbr));
    let ring =
        [le(logical + 16 + 4, 1, 5), le(logical + 16 + 8, 4, 0), le(logical + 16 + 12, 4, 2048)];
    cases.push(Case::new("table", "mbr", &ring));
    cases
}

/// The superblock at 1024, the group's description at 2048: ext2fs/ext2_fs.h.
fn ext() -> Vec<Case> {
    const AT: usize = 1024;
    let fields = [
        le(AT, 4, 0),
        le(AT, 4, u64::MAX),
        le(AT + 4, 4, 0),
        le(AT + 4, 4, u64::MAX),
        le(AT + 0x14, 4, 0),
        le(AT + 0x14, 4, u64::MAX),
        le(AT + 0x18, 4, 7),
        le(AT + 0x18, 4, 31),
        le(AT + 0x18, 4, u64::MAX),
        le(AT + 0x20, 4, 0),
        le(AT + 0x20, 4, u64::MAX),
        le(AT + 0x28, 4, 0),
        le(AT + 0x28, 4, u64::MAX),
        le(AT + 0x38, 2, 0),
        le(AT + 0x3a, 2, 0),
        le(AT + 0x3a, 2, 2),
        le(AT + 0x4c, 4, u64::MAX),
        le(AT + 0x54, 4, 0),
        le(AT + 0x54, 4, u64::MAX),
        le(AT + 0x58, 2, 0),
        le(AT + 0x58, 2, 1),
        le(AT + 0x58, 2, 0x8000),
        le(AT + 0x5c, 4, u64::MAX),
        le(AT + 0x60, 4, u64::MAX),
        le(AT + 0x60, 4, 0x1_0000),
        le(AT + 0x60, 4, 0x2_0000),
        le(AT + 0x60, 4, 0x8),
        le(AT + 0x60, 4, 0x10),
        le(AT + 0x64, 4, u64::MAX),
        le(AT + 0xce, 2, 0),
        le(AT + 0xe0, 4, 2),
        le(AT + 0xe0, 4, u64::MAX),
        le(AT + 0xe8, 4, 2),
        le(AT + 0xe8, 4, u64::MAX),
        le(AT + 0xfe, 2, 1),
        le(AT + 0xfe, 2, u64::MAX),
        le(AT + 0x104, 4, u64::MAX),
        le(AT + 0x150, 4, u64::MAX),
        le(AT + 0x174, 1, 255),
        le(AT + 0x175, 1, 255),
        le(2048, 4, 0),
        le(2048, 4, u64::MAX),
        le(2052, 4, 1),
        le(2056, 4, 0),
        le(2056, 4, u64::MAX),
        Edit::Len(0),
        Edit::Len(1024),
        Edit::Len(2047),
        Edit::Len(4096),
        Edit::Len(60_000),
    ];
    ["ext2", "nosums", "ext4"].map(|seed| each("ext", seed, &fields)).concat()
}

/// Microsoft, "FAT: General Overview of On-Disk Format", 1.03.
fn fat() -> Vec<Case> {
    let boot = [
        le(0, 1, 0),
        le(11, 2, 0),
        le(11, 2, 511),
        le(11, 2, 32768),
        le(13, 1, 0),
        le(13, 1, 3),
        le(13, 1, 128),
        le(14, 2, 0),
        le(14, 2, u64::MAX),
        le(16, 1, 0),
        le(16, 1, 255),
        le(17, 2, 0),
        le(17, 2, u64::MAX),
        le(17, 2, 1),
        le(19, 2, 0),
        le(19, 2, 1),
        le(19, 2, u64::MAX),
        le(22, 2, 0),
        le(22, 2, 1),
        le(22, 2, u64::MAX),
        le(32, 4, u64::MAX),
        le(21, 1, 0),
        Edit::Len(0),
        Edit::Len(511),
        Edit::Len(512),
        Edit::Len(20_000),
    ];
    let mut cases = ["fat12", "fat16", "fat32"].map(|seed| each("fat", seed, &boot)).concat();
    let wide = [
        le(36, 4, 0),
        le(36, 4, 1),
        le(36, 4, u64::MAX),
        le(40, 2, 0x81),
        le(40, 2, u64::MAX),
        le(42, 2, 1),
        le(44, 4, 0),
        le(44, 4, 1),
        le(44, 4, u64::MAX),
        le(44, 4, 3),
        le(48, 2, u64::MAX),
        le(48, 2, 0),
        // What is free: nothing, more than there is; where to look: nowhere.
        le(512 + 488, 4, 0),
        le(512 + 488, 4, 1 << 30),
        le(512 + 492, 4, u64::MAX),
        Edit::Put(512, vec![0; 512]),
    ];
    cases.extend(each("fat", "fat32", &wide));
    // Chains: a circle of one, of two, into nowhere, into what is free.
    for cluster in 2..8_usize {
        let next = u64::try_from(cluster).expect("small");
        for to in [next, next + 1, 2, 1, 0, 0x0fff_fff7, 0x0fff_fff0, 9000] {
            cases.push(Case::new("fat", "fat32", &[le(32 * 512 + cluster * 4, 4, to)]));
        }
        let at = |n: usize| 4 * 512 + n * 2;
        for to in [next, 2, 1, 0, 0xfff7, 0xfff0] {
            cases.push(Case::new("fat", "fat16", &[le(at(cluster), 2, to)]));
        }
    }
    // A directory of its own parent's cluster, of the root's, of none.
    for offset in (0..6 * 32).step_by(32) {
        for first in [0, 1, 2, 3, 0xffff] {
            let at = 512 + 2 * 5 * 512 + offset + 26;
            cases.push(Case::new("fat", "fat12", &[le(at, 2, first)]));
        }
    }
    cases
}

/// ECMA-119: the primary descriptor at 32768, its root record at 156 of it.
fn iso() -> Vec<Case> {
    const AT: usize = 0x8000;
    let fields = [
        le(AT, 1, 2),
        le(AT, 1, 255),
        Edit::Put(AT + 1, b"CD002".to_vec()),
        le(AT + 80, 4, u64::MAX),
        le(AT + 128, 2, 0),
        le(AT + 128, 2, 1),
        le(AT + 128, 2, 512),
        le(AT + 128, 2, 4096),
        le(AT + 158, 4, 0),
        le(AT + 158, 4, 16),
        le(AT + 158, 4, u64::MAX),
        le(AT + 158, 4, 0x7fff_ffff),
        le(AT + 166, 4, 0),
        le(AT + 166, 4, 1),
        le(AT + 166, 4, u64::MAX),
        le(AT + 166, 4, 32 << 20),
        le(AT + 157, 1, 255),
        le(AT + 181, 1, 0),
        le(AT + 181, 1, 0x82),
        le(AT + 182, 1, 9),
        Edit::Len(0),
        Edit::Len(AT),
        Edit::Len(AT + 2048),
        Edit::Len(AT + 5000),
        Edit::Len(50_000),
        Edit::Put(AT + 2048, vec![0; 2048]),
        Edit::Put(AT + 2048 + 71, vec![0xff; 4]),
        Edit::Put(AT + 4096, vec![0; 2048]),
    ];
    ["rock", "joliet", "both", "own"].map(|seed| each("iso", seed, &fields)).concat()
}

fn tar() -> Vec<Case> {
    let archive = |name: &str, kind: u8, contents: &[u8]| {
        let mut bytes = Vec::new();
        member(&mut bytes, name.as_bytes(), kind, contents);
        bytes.resize(bytes.len() + 1024, 0);
        Case::new("tar", "plain", &[Edit::Len(0), Edit::Put(0, bytes)])
    };
    let mut cases = Vec::new();
    for name in [
        "../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        "a/..",
        "//x",
        "./../x",
        "a//../..//b",
        "a\u{1b}[2J",
        "a\nb",
        "",
        ".",
        "a/./b",
        "x/../../../../../../../../etc/shadow",
    ] {
        for kind in [b'0', b'5', b'1', b'2'] {
            cases.push(archive(name, kind, b""));
        }
        // The same in a long name and in a PAX record.
        let mut bytes = Vec::new();
        member(&mut bytes, b"././@LongLink", b'L', name.as_bytes());
        member(&mut bytes, b"short", b'0', b"x");
        cases.push(Case::new("tar", "plain", &[Edit::Put(0, bytes)]));
        let record = format!(" path={name}\n");
        let len = record.len() + 2;
        let mut bytes = Vec::new();
        member(&mut bytes, b"x", b'x', format!("{len}{record}").as_bytes());
        member(&mut bytes, b"short", b'0', b"x");
        cases.push(Case::new("tar", "plain", &[Edit::Put(0, bytes)]));
    }
    for record in [
        "0 path=x\n",
        "-1 path=x\n",
        "99999999999999999999 path=x\n",
        "5 p=\n",
        "9 path=x",
        "18 size=-1000000\n",
        "30 size=99999999999999999999\n",
        "25 GNU.sparse.major=1000\n",
        "9 =xxxxx\n",
        "\n\n\n",
        "12 mtime=nan\n",
    ] {
        let mut bytes = Vec::new();
        member(&mut bytes, b"x", b'x', record.as_bytes());
        member(&mut bytes, b"short", b'0', b"x");
        cases.push(Case::new("tar", "pax", &[Edit::Put(0, bytes)]));
    }
    for (at, text) in [
        (124, &b"77777777777\0"[..]),
        (124, b"-0000000001\0"),
        (124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
        (124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        (124, b"            "),
        (108, b"99999999"),
        (136, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        (156, b"S"),
        (156, b"D"),
        (156, b"M"),
        (156, b"7"),
        (156, b"\xff"),
        (329, b"99999999"),
        (345, b"../../.."),
    ] {
        cases.push(Case::new("tar", "plain", &[Edit::Put(512 + at, text.to_vec())]));
    }
    cases.extend(each("tar", "gnu", &[0, 1, 511, 512, 513, 1023, 1536, 2048].map(Edit::Len)));
    cases
}

/// What a server may say wrong: the greeting, sizes of replies, the size of the disk.
fn nbd() -> Vec<Case> {
    let mut edits: Vec<Edit> = [0, 8, 17, 18, 40, 100, 200].map(Edit::Len).to_vec();
    edits.extend([0, 8, 16, 18, 26, 30, 34, 38].map(|at| be(at, 4, u64::MAX)));
    edits.extend([be(16, 2, 0), be(30, 4, 0x8000_0001), be(30, 4, 3), be(34, 4, 1 << 30)]);
    // The size that the disk is said to have: none, 10 TiB, all there is.
    edits.extend(
        [0, 10 << 40, u64::MAX, 511].map(|size| be(18 + 20 + 20 + 19 + 20 + 20 + 2, 8, size)),
    );
    each("nbd", "server", &edits)
}
