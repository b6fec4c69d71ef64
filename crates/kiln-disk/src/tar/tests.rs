// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Archives written by hand, and broken at random.

use super::pax::tests::record;
use super::*;

/// Returns one member: header, contents, padding.
fn member(name: &str, kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut block: Block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0001750\0");
    block[116..124].copy_from_slice(b"0001751\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
    block[136..148].copy_from_slice(b"14520000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    let mut all = block.to_vec();
    all.extend_from_slice(contents);
    all.resize(all.len().next_multiple_of(BLOCK), 0);
    all
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..BLOCK].iter().map(|&b| u32::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

fn all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut contents = Vec::new();
        reader.read_to_end(&mut contents).map_err(|source| reader.failed(source))?;
        all.push((entry, contents));
    }
    Ok(all)
}

fn error(parts: &[Vec<u8>]) -> String {
    all(&parts.concat()).unwrap_err().to_string()
}

#[test]
fn contents_and_paths_come_out() {
    let bytes = [
        member("./", b'5', b""),
        member("./a//b", b'0', b"hello"),
        member("/abs", b'0', &[b'x'; 512]),
        member("old/", 0, b""),
        end(),
    ]
    .concat();
    let got = all(&bytes).unwrap();
    let paths: Vec<_> =
        got.iter().map(|(e, c)| (e.path.as_slice(), e.kind.clone(), c.len())).collect();
    let (file, directory) = (EntryKind::File, EntryKind::Directory);
    let expected: [(&[u8], EntryKind, usize); 4] = [
        (b"", directory.clone(), 0),
        (b"a/b", file.clone(), 5),
        (b"abs", file, 512),
        (b"old", directory, 0),
    ];
    assert_eq!(paths, expected);
    let (entry, contents) = &got[1];
    assert_eq!((entry.mode, entry.uid, entry.gid, entry.size), (0o644, 1000, 1001, 5));
    assert_eq!(entry.mtime, (0o14_520_000_000, 0));
    assert_eq!(contents, b"hello");
}

#[test]
fn long_names_and_records_replace_the_header() {
    let long = "d/".repeat(200) + "f";
    let pax = [record("uid", b"123456789"), record("mtime", b"1600000000.000000001")].concat();
    let bytes = [
        member("././@LongLink", b'L', format!("{long}\0").as_bytes()),
        member("././@LongLink", b'K', b"t/g\0"),
        member("short", b'2', b""),
        member("PaxHeaders/x", b'x', &pax),
        member("y", b'0', b"1"),
        member("z", b'0', b"2"),
        end(),
    ]
    .concat();
    let got = all(&bytes).unwrap();
    assert_eq!(got[0].0.path, long.as_bytes());
    assert_eq!(got[0].0.kind, EntryKind::Symlink(b"t/g".to_vec()));
    assert_eq!((got[1].0.uid, got[1].0.mtime), (123_456_789, (1_600_000_000, 1)));
    assert_eq!((got[2].0.uid, got[2].0.mtime), (1000, (0o14_520_000_000, 0)));
}

#[test]
fn hostile_paths_are_refused() {
    assert_eq!(
        error(&[member("a/../../etc/passwd", b'0', b"")]),
        "the tar stream has the path `a/../../etc/passwd`, which leads out of its tree"
    );
    let link = {
        let mut bytes = member("x", b'1', b"");
        bytes[157..169].copy_from_slice(b"../../shadow");
        seal(&mut bytes);
        bytes
    };
    assert_eq!(
        error(&[link]),
        "the tar stream has the path `../../shadow`, which leads out of its tree"
    );
    assert_eq!(
        error(&[member("x", b'L', &[b'n'; 300]), member("y", b'0', b"")]),
        format!(
            "the tar stream has the path `{}`, which has a name of more than 255 bytes",
            "n".repeat(300)
        )
    );
    assert_eq!(
        error(&[member("x", b'L', "n/".repeat(3000).as_bytes()), member("y", b'0', b"")]),
        format!(
            "the tar stream has the path `{}`, which is longer than 4095 bytes",
            "n/".repeat(3000)
        )
    );
}

#[test]
fn what_is_cut_off_or_no_archive_is_told_apart() {
    let whole = [member("a", b'0', b"hello"), end()].concat();
    for cut in [600, 1023, 1024, 1100] {
        let error = all(&whole[..cut]).unwrap_err().to_string();
        assert_eq!(error, "the tar stream is cut off in or after `a`", "{cut}");
    }
    assert_eq!(error(&[]), "the tar stream is cut off at its beginning");
    let none = "the stream is no tar archive: it does not begin with a tar header";
    for len in [1, 511, 512, 1000] {
        assert_eq!(error(&[vec![b'x'; len]]), none, "{len}");
    }
    let mut damaged = whole;
    damaged[5] = b'!';
    assert_eq!(error(&[damaged]), none);
    let damaged = [member("a", b'0', b"hello"), vec![b'x'; 512]].concat();
    assert_eq!(error(&[damaged]), "there is no tar header at byte 1024 of the stream");
}

#[test]
fn what_is_not_read_is_named() {
    assert_eq!(
        error(&[member("s", b'S', b"stored, and no run says where")]),
        "the tar header of `s` is wrong: its map of holes"
    );
    assert_eq!(
        error(&[member("x", b'x', &record("GNU.sparse.major", b"1")), member("s", b'0', b"")]),
        "the tar header of `s` is wrong: its map of holes"
    );
    assert_eq!(
        error(&[member("m", b'M', b"")]),
        "`m` in the tar stream is a member of type `M`, which kiln does not read"
    );
    assert_eq!(
        error(&[member("x", b'x', b"99 path=y\n")]),
        "the tar header of `` is wrong: a PAX record with a wrong length"
    );
    assert_eq!(
        error(&[member("x", b'x', &record("size", b"-1")), member("y", b'0', b"")]),
        "the tar header of `y` is wrong: its size"
    );
}

#[test]
fn holes_are_read_as_zeros_or_skipped() {
    let told = [
        record("GNU.sparse.major", b"1"),
        record("GNU.sparse.minor", b"0"),
        record("GNU.sparse.name", b"dir/real"),
        record("GNU.sparse.realsize", b"20000"),
    ];
    let mut stored = b"2\n8192\n3\n20000\n0\n".to_vec();
    stored.resize(512, 0);
    stored.extend_from_slice(b"abc");
    let bytes = [
        member("PaxHeaders/x", b'x', &told.concat()),
        member("GNUSparseFile.1/real", b'0', &stored),
        member("next", b'0', b"n"),
        end(),
    ]
    .concat();
    let got = all(&bytes).unwrap();
    assert_eq!((got[0].0.path.as_slice(), got[0].0.size), (&b"dir/real"[..], 20_000));
    let mut expected = vec![0; 20_000];
    expected[8192..8195].copy_from_slice(b"abc");
    assert!(got[0].1 == expected);
    assert_eq!(got[1].1, b"n");

    let mut reader = Reader::new(&bytes[..]);
    let _ = reader.next_entry().unwrap();
    let mut three = [0; 3];
    assert_eq!((reader.skip_hole(4096), reader.skip_hole(4096)), (8192, 0));
    reader.read_exact(&mut three).unwrap();
    assert_eq!((&three, reader.skip_hole(4096), reader.skip_hole(4096)), (b"abc", 8192, 0));
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"next");
}

#[test]
fn a_header_that_claims_too_much_takes_no_memory() {
    let mut bytes = member("x", b'x', b"");
    bytes[124..136].copy_from_slice(b"77777777777\0");
    seal(&mut bytes);
    assert_eq!(
        error(&[bytes]),
        "the tar header of `` is wrong: an extension header of more than 1 MiB"
    );
}

#[test]
fn broken_archives_end_in_an_error_and_never_in_a_panic() {
    let whole = [
        member("./", b'5', b""),
        member("x", b'x', &record("SCHILY.xattr.user.a", b"\n\0")),
        member("x", b'x', &[record("path", b"a/b"), record("mtime", b"1600000000.5")].concat()),
        member("a", b'0', b"hello"),
        member("././@LongLink", b'L', "d/".repeat(90).as_bytes()),
        member("././@LongLink", b'K', b"target\0"),
        member("b", b'2', b""),
        member(
            "x",
            b'x',
            &record("SCHILY.acl.access", b"user::rwx,user:5:r--,group::r--,other::-"),
        ),
        member("c", b'3', b""),
        end(),
    ]
    .concat();
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 1).unwrap() % below
    };
    assert_eq!(all(&whole).unwrap().len(), 4);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..5000 {
        let mut bytes = whole.clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        // Half of them with right checksums, so that what lies behind is reached.
        if next(2) == 0 {
            for header in bytes.chunks_exact_mut(BLOCK).filter(|b| &b[257..262] == b"ustar") {
                seal(header);
            }
        }
        bytes.truncate(bytes.len() - next(2) * next(BLOCK * 4));
        match all(&bytes) {
            Ok(entries) => {
                good += 1;
                for (entry, _) in entries {
                    assert!(!entry.path.starts_with(b"/"), "{entry:?}");
                    assert!(entry.path.split(|&b| b == b'/').all(|n| n != b".."), "{entry:?}");
                }
            }
            Err(_) => bad += 1,
        }
    }
    assert!(good > 500 && bad > 500, "{good} {bad}");
}
