// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hostile indexes, streams and files of checksums: each ends in a right answer or a clear error,
//! within 5 s and 512 MiB, without a panic.
//!
//! `make fuzz SECONDS=600` looks for more, that long for each target.

use std::path::Path;

use kiln_build::catalog::source::built_in;
use kiln_build::catalog::url::Address;
use kiln_build::catalog::{Proof, checksum, simplestreams, virt_builder};
use kiln_testkit::fuzz::{
    Case, Edit, Outcome, Seed, Target, every_case_ends_well, fuzz_all, serve,
};

/// Random cases of each target.
const RANDOM: u64 = 60;

const TARGETS: &[Target] = &[
    Target { name: "index", seeds: index_seeds, mend: nothing, run: index },
    Target { name: "simplestreams", seeds: stream_seeds, mend: nothing, run: stream },
    Target { name: "sums", seeds: sums_seeds, mend: nothing, run: sums },
];

fn nothing(_: &mut [u8]) {}

fn seed(name: &'static str, text: String) -> Vec<Seed> {
    let bytes = text.into_bytes();
    let hot = std::iter::once(0..bytes.len()).collect();
    vec![Seed { name, bytes, hot, big_endian: false }]
}

fn index_seeds(_: &Path) -> Vec<Seed> {
    let digest = "ab".repeat(64);
    let section = |id: &str| {
        format!(
            "[{id}]\nname=Debian® 12\nosinfo=debian12\narch=x86_64\nfile=d/{id}.xz\n\
             checksum[sha512]={digest}\nrevision=7\nformat=raw\nsize=6442450944\n\
             compressed_size=148947524\nexpand=/dev/sda3\nnotes=Two\n lines\nnotes[ja]=x\n\
             aliases=a b\nhidden=true\n\n"
        )
    };
    seed("two", format!("# comment\n{}{}", section("one"), section("two")))
}

/// What is read must be written so that it is read the same, and no path may lead away.
fn index(bytes: &[u8], _: &Path) -> Outcome {
    let all = virt_builder::parse(bytes, "index")?;
    let base = Address::parse("https://h/r/index.asc")?;
    for template in &all {
        let url = base.join(&template.file)?;
        assert!(url.secret().starts_with("https://h/r/"), "{url}");
        assert!(!url.secret().contains("/../"), "{url}");
    }
    let again = virt_builder::parse(virt_builder::write(&all).as_bytes(), "again")?;
    assert_eq!(again.len(), all.len());
    for (one, other) in all.iter().zip(&again) {
        assert_eq!((&one.id, &one.file, &one.checksum), (&other.id, &other.file, &other.checksum));
        assert_eq!(one.notes, other.notes);
    }
    Ok(format!("{} images", all.len()))
}

fn stream_seeds(_: &Path) -> Vec<Seed> {
    let hex = "cd".repeat(32);
    seed(
        "ubuntu",
        format!(
            r#"{{"format":"products:1.0","products":{{"com.ubuntu.cloud:server:24.04:amd64":{{
            "aliases":"24.04,noble","arch":"amd64","os":"ubuntu","release":"noble",
            "release_title":"24.04 LTS","version":"24.04","versions":{{"20260201":{{
            "pubname":"n","items":{{"disk1.img":{{"path":"a/b.img","sha256":"{hex}","size":9}}}}}}
            }}}}}}}}"#
        ),
    )
}

fn stream(bytes: &[u8], _: &Path) -> Outcome {
    let base = Address::parse("https://h/r/")?;
    let source = built_in();
    let all = simplestreams::products(bytes, "p", &base, (&source, &Proof::Unsigned))?;
    for entry in &all {
        assert!(entry.url.secret().starts_with("https://h/r/"), "{}", entry.url);
    }
    Ok(format!("{} images", all.len()))
}

fn sums_seeds(_: &Path) -> Vec<Seed> {
    let (short, long) = ("12".repeat(32), "34".repeat(64));
    seed("mixed", format!("# x\n{short} *a.img\n{long}  b.img\nSHA256 (c.img) = {short}\n"))
}

fn sums(bytes: &[u8], _: &Path) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let found = checksum::find(&text, "a.img").or_else(|| checksum::only(&text));
    Ok(found.map_or_else(|| "none".into(), |sum| sum.to_string()))
}

/// Not a test: what the child processes of the tests below run.
#[test]
fn child() {
    serve(TARGETS);
}

/// Cases on purpose.
fn purpose() -> Vec<Case> {
    let whole = |target: &str, seed: &str, text: &[u8]| {
        Case::new(target, seed, &[Edit::Len(0), Edit::Put(0, text.to_vec())])
    };
    let index = |text: &[u8]| whole("index", "two", text);
    let stream = |text: &str| whole("simplestreams", "ubuntu", text.as_bytes());
    vec![
        index(&b"[a]\n".repeat(200_000)),
        index(&[&b"[a]\na=b\n"[..], &b" \n".repeat(1 << 20)].concat()),
        index(&[b'['; 1 << 20]),
        index(&[0xff; 1 << 20]),
        index(b"[a]\narch=x\nfile=..\nsize=1\n"),
        index(b"[a]\narch=x\nfile=%252e%252e/x\nsize=1\n"),
        index(b"[a]\narch=x\nfile=\x1b[2J\nsize=99999999999999999999\n"),
        stream(&"[".repeat(1 << 20)),
        stream(&"{\"products\":".repeat(100_000)),
        stream(
            r#"{"format":"products:1.0","products":{"a":{"versions":{"1":{"items":{"disk.img":
            {"path":"%2e%2e/%2e%2e/etc/shadow","size":18446744073709551615}}}}}}}"#,
        ),
        whole("sums", "mixed", &b" (\n) = \n".repeat(100_000)),
        whole("sums", "mixed", &b"\n".repeat(1 << 20)),
    ]
}

#[test]
fn every_hostile_catalog_ends_well() {
    every_case_ends_well(TARGETS, purpose(), FINDINGS, RANDOM);
}

/// What random changes found once.
const FINDINGS: &str = "
index two 688=2ca2f086384ebe84 474=0b
index two 517=ff 160=ffffffffffffff7f
";

/// Not run by `make test` but by `make fuzz`: random changes for `KILN_FUZZ_SECONDS` for each target, or only for
/// `KILN_FUZZ_TARGET`.
#[test]
fn fuzz() {
    fuzz_all(TARGETS, "FINDINGS");
}
