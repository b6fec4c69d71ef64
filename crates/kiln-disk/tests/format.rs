// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images made by qemu-img and others, as `format` sees them.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use kiln_disk::device::Device;
use kiln_disk::format::qcow2::{Compression, Encryption, Qcow2File};
use kiln_disk::format::{Format, FormatError, ImageInfo, RawContent, probe, probe_complete};
use kiln_disk::fs::iso9660::Iso;
use kiln_spec::Bytes;
use kiln_testkit::{Folder, need_program, run};

/// Makes a raw image of 8 MiB and a bit: a table of partitions, noise, zeros, text.
fn raw_disk(folder: &Folder, name: &str) {
    let mut disk = vec![0; (8 << 20) + 1536];
    disk[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    noise(&mut disk[1 << 20..2 << 20], 1);
    disk[3 << 20..(3 << 20) + 300_000].fill(b'x');
    let end = disk.len() - 700;
    noise(&mut disk[end..], 2);
    std::fs::write(folder.path(name), disk).unwrap();
}

/// Runs `qemu-img`; names that begin with `@` are files in the folder.
fn qemu_img(folder: &Folder, args: &str) -> String {
    folder.run(&format!("qemu-img {args}"))
}

/// Fills with bytes that nothing compresses: Knuth's MMIX numbers.
fn noise(bytes: &mut [u8], seed: u64) {
    let mut state = seed;
    for byte in bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = u8::try_from(state >> 56).unwrap();
    }
}

fn look(path: &Path) -> Result<ImageInfo, FormatError> {
    probe(&mut File::open(path).unwrap(), "it")
}

fn look_all(path: &Path) -> Result<ImageInfo, FormatError> {
    probe_complete(&mut File::open(path).unwrap(), "it")
}

fn of_bytes(bytes: &[u8]) -> Result<ImageInfo, FormatError> {
    probe_complete(&mut Cursor::new(bytes), "it")
}

fn error(bytes: &[u8]) -> String {
    of_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn every_shape_of_qcow2_is_read() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    for (options, version, cluster) in [
        ("", 3, 65_536),
        ("-o compat=0.10", 2, 65_536),
        ("-c", 3, 65_536),
        ("-c -o compression_type=zstd", 3, 65_536),
        ("-o cluster_size=512", 3, 512),
        ("-o cluster_size=2M", 3, 2 << 20),
        ("-c -o cluster_size=4096", 3, 4096),
        ("-o extended_l2=on,cluster_size=128k", 3, 128 << 10),
        ("-o refcount_bits=1", 3, 65_536),
        ("-o refcount_bits=64", 3, 65_536),
        ("-o preallocation=metadata", 3, 65_536),
        ("-o lazy_refcounts=on", 3, 65_536),
    ] {
        let args = format!("convert -f raw -O qcow2 {options} @disk.raw @it.qcow2");
        qemu_img(&folder, &args.replace("  ", " "));
        let info = look_all(&folder.path("it.qcow2")).unwrap();
        assert_eq!(info.virtual_size, Bytes((8 << 20) + 1536), "{options}");
        assert_eq!(info.format.name(), "qcow2");
        let qcow2 = info.qcow2().unwrap();
        assert_eq!(qcow2.version, version, "{options}");
        assert_eq!(qcow2.cluster_size, Bytes(cluster), "{options}");
        assert_eq!(qcow2.compression == Compression::Zstd, options.contains("zstd"));
        assert_eq!(qcow2.extended_l2, options.contains("extended"));
        assert_eq!(qcow2.encryption, Encryption::None);
        assert_eq!((qcow2.dirty, qcow2.corrupt, qcow2.snapshots), (false, false, 0));
    }
}

#[test]
fn what_an_image_takes_from_elsewhere_is_told_and_refused() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    qemu_img(&folder, "create -q -f qcow2 -F raw -b @disk.raw @linked.qcow2");
    let info = look(&folder.path("linked.qcow2")).unwrap();
    let linked = info.qcow2().unwrap();
    assert_eq!(linked.backing_file.as_deref(), Some(folder.text("disk.raw").as_str()));
    assert_eq!(linked.backing_format.as_deref(), Some("raw"));
    let error = look_all(&folder.path("linked.qcow2")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`it` is no image by itself: it needs its backing file `{}`",
            folder.text("disk.raw")
        )
    );
    assert!(error.hint().unwrap().contains("qemu-img convert -O qcow2 it whole.qcow2"));
    // A name that means more to QEMU than a file's name is given as it stands.
    qemu_img(
        &folder,
        "rebase -u -F raw -b json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"} @linked.qcow2",
    );
    let info = look(&folder.path("linked.qcow2")).unwrap();
    assert!(info.qcow2().unwrap().backing_file.as_deref().unwrap().contains("/etc/shadow"));

    qemu_img(&folder, "create -q -f qcow2 -o data_file=@data.raw,data_file_raw=on @split.qcow2 4M");
    let info = look(&folder.path("split.qcow2")).unwrap();
    assert!(info.qcow2().unwrap().data_file.as_deref().unwrap().ends_with("data.raw"));
    info.check_complete(&mut File::open(folder.path("split.qcow2")).unwrap(), "it").unwrap();
    let error = look_all(&folder.path("split.qcow2")).unwrap_err();
    assert!(matches!(error, FormatError::DataFile { .. }), "{error}");

    qemu_img(
        &folder,
        "create -q -f qcow2 --object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 @luks.qcow2 4M",
    );
    let info = look(&folder.path("luks.qcow2")).unwrap();
    assert_eq!(info.qcow2().unwrap().encryption, Encryption::Luks);
    assert_eq!(look_all(&folder.path("luks.qcow2")).unwrap_err().to_string(), "`it` is encrypted");
}

#[test]
fn marks_and_snapshots_are_seen() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    qemu_img(&folder, "convert -f raw -O qcow2 @disk.raw @it.qcow2");
    qemu_img(&folder, "snapshot -c one @it.qcow2");
    qemu_img(&folder, "snapshot -c two @it.qcow2");
    let info = look_all(&folder.path("it.qcow2")).unwrap();
    assert_eq!(info.qcow2().unwrap().snapshots, 2);
    let good = folder.bytes("it.qcow2");
    for (bit, expected) in [
        (1, "`it` was not closed by its last user".to_owned()),
        (2, "`it` is marked as corrupt".to_owned()),
        (32, "`it` is a qcow2 file with an unknown feature: bit 5".to_owned()),
    ] {
        let mut bytes = good.clone();
        bytes[79] |= bit;
        assert_eq!(error(&bytes), expected);
    }
}

#[test]
fn an_image_cut_off_anywhere_is_noticed() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    for options in ["-o cluster_size=64k", "-c", "-o cluster_size=512", "-c -o compat=0.10"] {
        qemu_img(&folder, &format!("convert -f raw -O qcow2 {options} @disk.raw @it.qcow2"));
        let whole = folder.bytes("it.qcow2");
        of_bytes(&whole).unwrap();
        let cluster = if options.contains("512") { 512 } else { 65_536 };
        // Within the last cluster the cut may pass for one that was never longer.
        let sure = whole.len() - cluster;
        for step in 0..200 {
            let len = sure * step / 199;
            match of_bytes(&whole[..len]) {
                Err(FormatError::Truncated { missing, .. }) => {
                    let really = u64::try_from(whole.len() - len).unwrap();
                    assert!(missing.0 > 0 && missing.0 <= really, "{options}: {len}: {missing}");
                }
                Err(FormatError::NotAnImage { .. }) if len < 4 => {}
                other => panic!("{options}: {len} of {}: {other:?}", whole.len()),
            }
        }
        if !options.contains("-c") {
            assert!(of_bytes(&whole[..whole.len() - 100]).is_err(), "{options}");
        }
    }
}

#[test]
fn a_huge_image_takes_no_time() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    qemu_img(&folder, "create -q -f qcow2 @huge.qcow2 10T");
    let huge = folder.text("huge.qcow2");
    for at in ["0", "5T", "10995115229184"] {
        let _ = run(&["qemu-io", "-c", &format!("write -P 7 {at} 64k"), &huge]).success();
    }
    let start = std::time::Instant::now();
    let info = look_all(&folder.path("huge.qcow2")).unwrap();
    assert_eq!(info.virtual_size, Bytes(10 << 40));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// Whatever a header says, there is an answer, and what QEMU refuses is mostly refused here.
#[test]
fn damaged_headers_never_end_in_a_panic() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    qemu_img(&folder, "convert -c -f raw -O qcow2 -o cluster_size=4k @disk.raw @it.qcow2");
    let good = folder.bytes("it.qcow2");
    let mut random = vec![0; 60_000];
    noise(&mut random, 3);
    let mut random = random.into_iter().map(usize::from);
    let mut next = |below: usize| (random.next().unwrap() << 8 | random.next().unwrap()) % below;
    let mut refused = 0;
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..=next(3) {
            // The header, and the tables in the clusters after it.
            let at = if next(2) == 0 { next(112) } else { next(8 * 4096) };
            bytes[at] = [0, 1, 0xff, 0x80, 0x40, 7][next(6)];
        }
        if let Err(error) = of_bytes(&bytes) {
            refused += 1;
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
        }
    }
    assert!((300..3000).contains(&refused), "{refused} of 3000 refused");
}

#[test]
fn wrong_headers_are_named() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    qemu_img(&folder, "create -q -f qcow2 @it.qcow2 1G");
    let good = folder.bytes("it.qcow2");
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    for (at, value, expected) in [
        (4, &[0_u8, 0, 0, 4][..], "version 4 is unknown"),
        (20, &[0, 0, 0, 8], "clusters of 2^8 bytes"),
        (20, &[0, 0, 0, 22], "clusters of 2^22 bytes"),
        (24, &[0x40, 0, 0, 0, 0, 0, 0, 0], "a disk of 4611686018427387904 bytes needs"),
        (32, &[0, 0, 0, 9], "encryption method 9 is unknown"),
        (36, &[0xff, 0xff, 0xff, 0xff], "an L1 table of 4294967295 entries"),
        (40, &[0, 0, 0, 0, 0, 0, 0, 8], "the L1 table is at byte 8"),
        (48, &[0; 8], "the refcount table is at byte 0"),
        (56, &[0, 0, 0, 0], "a refcount table of 0 bytes"),
        (60, &[0, 2, 0, 0], "131072 snapshots"),
        (60, &[0, 0, 0, 1], "the snapshot table is at byte 0"),
        (64, &[0, 0, 0, 0, 0, 0, 1, 0], "the snapshot table is at byte 256"),
        (96, &[0, 0, 0, 7], "reference counts of 2^7 bits"),
        (100, &[0, 0, 0, 8], "a header of 8 bytes"),
        (104, &[1], "the compression type and its feature bit differ"),
    ] {
        let error = error(&with(at, value));
        assert!(
            error.starts_with(&format!("`it` has a damaged qcow2 header: {expected}")),
            "{at}: {error}"
        );
    }
    assert_eq!(
        error(&with(4, &[0, 0, 0, 1])),
        "`it` is a qcow image, version 1, which cannot be used as it is"
    );
    let l1_beyond = error(&with(40, &[0, 0, 1, 0, 0, 0, 0, 0]));
    assert!(l1_beyond.starts_with("`it` is cut off: at least 1023.9 GiB"), "{l1_beyond}");
}

#[test]
fn other_formats_are_named_with_the_way_out() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    for (format, what) in [
        ("vmdk", "a VMDK image"),
        ("vpc", "a VHD image"),
        ("vhdx", "a VHDX image"),
        ("vdi", "a VDI image"),
        ("qed", "a QED image"),
        ("qcow", "a qcow image, version 1"),
        ("parallels", "a Parallels image"),
        ("vpc -o subformat=fixed", "a VHD image"),
        ("vmdk -o subformat=monolithicFlat", "a VMDK image's description"),
    ] {
        qemu_img(&folder, &format!("convert -f raw -O {format} @disk.raw @it"));
        let error = look(&folder.path("it")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`it` is {what}, which cannot be used as it is"),
            "{format}"
        );
        assert!(error.hint().unwrap().starts_with("kiln image convert "), "{format}");
    }
    for (program, args, what) in [
        ("gzip", "-k @disk.raw", "a file packed by gzip"),
        ("xz", "-0 -k @disk.raw", "a file packed by xz"),
        ("zstd", "-q @disk.raw -o @disk.raw.zst", "a file packed by zstd"),
        ("bzip2", "-k @disk.raw", "a file packed by bzip2"),
        ("tar", "-C @ -cf @disk.raw.tar disk.raw", "a tar archive"),
    ] {
        if !need_program(program) {
            continue;
        }
        folder.run(&format!("{program} {args}"));
        let packed = std::fs::read_dir(folder.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("disk.raw."))
            .unwrap();
        let error = look(&packed).unwrap_err().to_string();
        assert_eq!(error, format!("`it` is {what}, which cannot be used as it is"));
        std::fs::remove_file(packed).unwrap();
    }
}

#[test]
fn what_is_no_image_is_named() {
    let not = |what: &str| format!("`it` is no disk image: it is {what}");
    assert_eq!(error(b""), not("an empty file"));
    assert_eq!(error(b"<!DOCTYPE html>\n<title>404</title>"), not("a web page"));
    assert_eq!(error("gr\u{fc}\u{df}e\n".repeat(400).as_bytes()), not("a text file"));
    assert_eq!(error(&std::fs::read("/bin/ls").unwrap()), not("a program"));
    assert_eq!(error(&[0; 4096]), not("only zeros at its beginning"));
    let mut random = vec![0; 100_000];
    noise(&mut random, 9);
    assert_eq!(error(&random), not("data without a partition table, file system or boot sector"));
    assert!(of_bytes(b"QFI").is_err() && of_bytes(b"QFI\xfb").is_err());
    let mut ova = vec![0; 1024];
    ova[..6].copy_from_slice(b"vm.ovf");
    ova[257..262].copy_from_slice(b"ustar");
    assert_eq!(error(&ova), "`it` is an OVA archive, which cannot be used as it is");
}

#[test]
fn raw_images_are_known_by_their_content() {
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    let content = |path: &Path| match look_all(path).unwrap().format {
        Format::Raw(content) => content,
        other => panic!("{other:?}"),
    };
    assert_eq!(content(&folder.path("disk.raw")), RawContent::Mbr);
    let disk = folder.bytes("disk.raw");
    assert_eq!(error(&disk[..1 << 20]), "`it` is cut off: at least 1 MiB are missing at its end");
    assert_eq!(
        error(&disk[..disk.len() - 1]),
        "`it` is cut off or no disk: its 8390143 bytes are no multiple of 512"
    );

    std::fs::write(folder.path("it.iso"), Iso::new("x", 0).file("a", "b").build().unwrap())
        .unwrap();
    assert_eq!(content(&folder.path("it.iso")), RawContent::Iso9660);

    for (program, args, expected) in [
        ("mkfs.ext4", "-q -F @fs.raw", RawContent::Ext),
        ("mkfs.ext4", "-q -F -b 1024 @fs.raw", RawContent::Ext),
        ("mkfs.xfs", "-q -f @fs.raw", RawContent::Xfs),
        ("mkfs.btrfs", "-q -f @fs.raw", RawContent::Btrfs),
        ("mkfs.fat", "-F 16 @fs.raw", RawContent::Fat),
        ("mkfs.fat", "-F 32 @fs.raw", RawContent::Fat),
        ("mkfs.ntfs", "-q -Q -F @fs.raw", RawContent::Ntfs),
    ] {
        if !need_program(program) {
            continue;
        }
        let file = File::create(folder.path("fs.raw")).unwrap();
        file.set_len(400 << 20).unwrap();
        folder.run(&format!("{program} {args}"));
        assert_eq!(content(&folder.path("fs.raw")), expected, "{program} {args}");
        if expected == RawContent::Ext {
            file.set_len(300 << 20).unwrap();
            let error = look_all(&folder.path("fs.raw")).unwrap_err().to_string();
            assert_eq!(error, "`it` is cut off: at least 100 MiB are missing at its end");
        }
    }
}

#[test]
fn a_gpt_disk_cut_off_is_noticed() {
    if !need_program("sfdisk") {
        return;
    }
    let folder = Folder::new();
    let disk = File::create(folder.path("disk.raw")).unwrap();
    disk.set_len(64 << 20).unwrap();
    std::fs::write(folder.path("script"), "label: gpt\nsize=8M\nsize=16M\n").unwrap();
    let script = format!("sfdisk -q {} < {}", folder.text("disk.raw"), folder.text("script"));
    let _ = run(&["sh", "-c", &script]).success();
    let info = look_all(&folder.path("disk.raw")).unwrap();
    assert_eq!(info.format, Format::Raw(RawContent::Gpt));
    disk.set_len((64 << 20) - 512).unwrap();
    let error = look_all(&folder.path("disk.raw")).unwrap_err();
    assert_eq!(error.to_string(), "`it` is cut off: at least 512 B are missing at its end");
    assert!(look(&folder.path("disk.raw")).is_ok());
}

/// All bytes of a qcow2 file, read in pieces of uneven length.
fn read_all(path: &Path) -> Vec<u8> {
    let mut disk = Qcow2File::open(File::open(path).unwrap(), "it").unwrap();
    let mut out = vec![0xee; usize::try_from(disk.size()).unwrap()];
    let mut at = 0;
    for piece in out.chunks_mut(100_003) {
        disk.read_at(at, piece).unwrap();
        at += u64::try_from(piece.len()).unwrap();
    }
    out
}

#[test]
fn what_is_read_is_what_qemu_reads() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    let disk = folder.bytes("disk.raw");
    for options in [
        "",
        "-o compat=0.10",
        "-c",
        "-c -o compression_type=zstd",
        "-o cluster_size=512",
        "-c -o cluster_size=2M",
        "-c -o compression_type=zstd,cluster_size=2M",
        "-c -o cluster_size=512",
        "-o extended_l2=on,cluster_size=128k",
        "-o extended_l2=on,cluster_size=16k",
        "-c -o extended_l2=on,cluster_size=16k",
        "-o preallocation=metadata",
    ] {
        let args = format!("convert -f raw -O qcow2 {options} @disk.raw @it.qcow2");
        qemu_img(&folder, &args.replace("  ", " "));
        let it = folder.text("it.qcow2");
        assert!(read_all(Path::new(&it)) == disk, "{options}");
        // Now with holes, zeros and parts of clusters written over it.
        let mut argv = vec!["qemu-io"];
        for command in [
            "write -z 1100000 70000",
            "write -z -u 3200000 200000",
            "discard 4194304 262144",
            "write -P 1 1111040 1024",
            "write -P 2 6000128 512",
            "write -z 6001664 4096",
            "write -c -P 3 7340032 65536",
        ] {
            if !(command.contains("-c") && options.contains("cluster_size=2M")) {
                argv.extend(["-c", command]);
            }
        }
        argv.push(&it);
        let _ = run(&argv);
        look_all(Path::new(&it)).unwrap();
        qemu_img(&folder, "convert -O raw @it.qcow2 @back.raw");
        let changed = folder.bytes("back.raw");
        assert!(
            changed[6_000_128..6_000_640] == [2; 512]
                && changed[1_100_000..1_111_040] == [0; 11_040]
        );
        assert!(read_all(Path::new(&it)) == changed, "{options}, changed");
    }
}

#[test]
fn a_device_is_not_written_and_ends_where_it_ends() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    qemu_img(&folder, "create -q -f qcow2 @it.qcow2 10T");
    let mut disk = Qcow2File::open(File::open(folder.path("it.qcow2")).unwrap(), "it").unwrap();
    let mut byte = [1];
    disk.read_at((10 << 40) - 1, &mut byte).unwrap();
    assert_eq!(byte, [0]);
    let past = disk.read_at(10 << 40, &mut byte).unwrap_err();
    assert_eq!(past.kind(), std::io::ErrorKind::UnexpectedEof);
    let written = disk.write_at(0, &byte).unwrap_err();
    assert_eq!(written.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    raw_disk(&folder, "disk.raw");
    let raw = Qcow2File::open(File::open(folder.path("disk.raw")).unwrap(), "it").unwrap_err();
    assert_eq!(raw.to_string(), "`it` is a raw image, which cannot be used as it is");
}

/// Whatever the tables say, reading ends.
#[test]
fn damaged_tables_never_end_in_a_panic() {
    if !need_program("qemu-img") {
        return;
    }
    let folder = Folder::new();
    raw_disk(&folder, "disk.raw");
    for options in ["", "-c", "-c -o compression_type=zstd"] {
        let args = format!("convert -f raw -O qcow2 {options} @disk.raw @it.qcow2");
        qemu_img(&folder, &args.replace("  ", " "));
        let good = folder.bytes("it.qcow2");
        let mut random = vec![0; 4000];
        noise(&mut random, 5);
        let mut failed = 0;
        for pick in random.chunks_exact(4).take(60) {
            let mut bytes = good.clone();
            let places = [3, 4, 5, 6];
            // The tables are in the clusters after the header; the data is after them.
            let cluster = places[usize::from(pick[0] % 4)] * 65_536;
            let at = cluster + usize::from(pick[1]) * 16 + usize::from(pick[2] % 16);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= pick[3];
            }
            std::fs::write(folder.path("bad.qcow2"), bytes).unwrap();
            let Ok(mut disk) = Qcow2File::open(File::open(folder.path("bad.qcow2")).unwrap(), "it")
            else {
                continue;
            };
            let mut all = vec![0; usize::try_from(disk.size()).unwrap()];
            failed += usize::from(disk.read_at(0, &mut all).is_err());
        }
        assert!(failed > 0, "{options}: no damage was noticed at all");
    }
}
