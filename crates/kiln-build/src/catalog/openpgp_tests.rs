// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the status lines of gpgv are judged, and what frames of signed texts are refused.

use super::*;

const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

fn valid(key: &str, primary: &str, hash: u32) -> String {
    format!("[GNUPG:] VALIDSIG {key} 2026-11-21 1 0 4 0 1 {hash} 01 {primary}\n")
}

fn judged(status: &str, wanted: Option<&str>) -> String {
    let wanted = wanted.map(|text| Fingerprint::parse(text).unwrap());
    match judge(status, wanted.as_ref(), "index") {
        Ok(key) => key.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn status_lines_are_judged_one_signature_at_a_time() {
    let (new, good) = ("[GNUPG:] NEWSIG\n", "[GNUPG:] GOODSIG 1 name\n");
    let one = format!("{new}{good}{}", valid(A, B, 10));
    assert_eq!(judged(&one, None), B);
    assert_eq!(judged(&one, Some(A)), B);
    assert_eq!(judged(&one, Some(B)), B);
    let other = "C".repeat(40);
    let stranger = format!("`index` is signed with the key `{B}`, which is not trusted for it");
    assert_eq!(judged(&one, Some(&other)), stranger);
    let unknown = "[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG 77 1 10 00 1 9\n[GNUPG:] NO_PUBKEY 77\n";
    assert_eq!(judged(&format!("{unknown}{one}"), None), B);
    let told = judged(unknown, None);
    assert_eq!(told, "`index` is signed with the key `77`, which is not trusted for it");
    let bad = format!("{one}{new}[GNUPG:] BADSIG 1 name\n");
    assert_eq!(judged(&bad, None), "the signature of `index` is wrong");
    assert_eq!(judged("", None), "the signature of `index` is wrong");
    // A user's name cannot be a status line of its own.
    assert_eq!(judged(&format!("GOODSIG\n{}", valid(A, B, 10)), None), bad_text());
    for (word, why) in [
        ("EXPKEYSIG 1 x", "its key has expired"),
        ("EXPSIG 1 x", "it has expired"),
        ("REVKEYSIG 1 x", "its key is revoked"),
    ] {
        let stale = format!("{new}[GNUPG:] {word}\n{}", valid(A, B, 10));
        let told = judged(&stale, None);
        assert_eq!(told, format!("the signature of `index` does not count: {why}"));
    }
    let weak = format!("{new}{good}{}", valid(A, B, 2));
    let told = judged(&weak, None);
    assert_eq!(told, "the signature of `index` does not count: its hash is too weak");
}

fn bad_text() -> &'static str {
    "the signature of `index` is wrong"
}

#[test]
fn a_frame_holds_the_signed_words_and_nothing_else() {
    let good = format!(
        "{BEGIN_SIGNED}\nHash: SHA512\n\na\n- -b\n{BEGIN_SIGNATURE}\n\nx\n{END_SIGNATURE}\n"
    );
    assert!(check_frame(good.as_bytes(), "index").is_ok());
    assert_eq!(strip(good.as_bytes()), b"a\n-b\n");
    assert_eq!(strip(b"[a]\n"), b"[a]\n");
    assert!(matches!(check_frame(b"[a]\n", "index"), Err(SignatureError::Unsigned { .. })));
    for bad in [
        format!("x\n{good}"),
        format!("{good}x\n"),
        format!("{good}{good}"),
        good.replace("Hash: SHA512", "[evil]"),
        good.replace("- -b", BEGIN_SIGNED),
        good.replace("\nx\n", &format!("\n{BEGIN_SIGNATURE}\n")),
    ] {
        let error = check_frame(bad.as_bytes(), "index").unwrap_err();
        assert!(matches!(error, SignatureError::Frame { .. }), "{bad}");
    }
}

#[test]
fn fingerprints_are_whole() {
    let spaced = "aaaa aaaa AAAA aaaa aaaa  aaaa aaaa aaaa aaaa aaaa";
    assert_eq!(Fingerprint::parse(spaced).unwrap().as_str(), A);
    assert!(Fingerprint::parse("DEADBEEF").is_err());
    assert!(Fingerprint::parse(&"g".repeat(40)).is_err());
}

#[test]
fn armour_comes_off() {
    let text = "x\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nYWJj\n=abcd\n\
                -----END PGP PUBLIC KEY BLOCK-----\n";
    let twice = format!("{text}{text}");
    assert_eq!(dearmor(twice.as_bytes(), "PUBLIC KEY BLOCK").unwrap(), b"abcabc");
    assert_eq!(dearmor(text.as_bytes(), "SIGNATURE"), None);
    assert_eq!(dearmor(b"\xff", "SIGNATURE"), None);
}
