// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Signatures that GnuPG makes, good ones and all that are not.

use std::fs;

use kiln_build::catalog::openpgp::{Fingerprint, Keys, SignatureError, Signers};
use kiln_build::catalog::{CatalogError, Check, Proof, Trust};
use kiln_testkit::http::Server;

use crate::support::{Lab, by_file, source};

const TEXT: &str = "[a]\narch=x86_64\nfile=a.xz\nsize=1\n# - dashes\n- -\n";

fn verify(lab: &Lab, text: &[u8], signers: &Signers) -> Result<Vec<u8>, SignatureError> {
    lab.openpgp().verify_clear(text, signers, "index").map(|(words, _)| words)
}

#[test]
fn a_signature_counts_by_key_file_by_fingerprint_and_by_both() {
    let Some(lab) = Lab::new() else { return };
    let (key, other) = (lab.key("one@test"), lab.key("two@test"));
    // Words that the frame must escape.
    let text = format!("{TEXT}-----BEGIN PGP SIGNATURE-----\n");
    let signed = lab.openpgp().sign_clear(text.as_bytes(), key.as_str()).unwrap();
    let file = |armour| Keys::File(lab.export(&key, "key", armour));
    let strangers = Keys::File(lab.export(&other, "other", true));
    for (keys, fingerprint) in [
        (file(true), None),
        (file(false), None),
        (file(true), Some(key.clone())),
        (Keys::Keyring, Some(key.clone())),
    ] {
        let words = verify(&lab, &signed, &Signers { keys, fingerprint }).unwrap();
        assert_eq!(String::from_utf8(words).unwrap().trim_end(), text.trim_end());
    }
    for (keys, fingerprint) in [
        (strangers.clone(), None),
        (file(true), Some(other.clone())),
        (Keys::Keyring, Some(other.clone())),
    ] {
        let error = verify(&lab, &signed, &Signers { keys, fingerprint }).unwrap_err();
        assert!(matches!(error, SignatureError::Stranger { .. }), "{error:?}");
    }
    let unknown = Fingerprint::parse(&"7".repeat(40)).unwrap();
    let keys = Signers { keys: Keys::Keyring, fingerprint: Some(unknown) };
    assert!(matches!(verify(&lab, &signed, &keys), Err(SignatureError::NoKey { .. })));
}

#[test]
fn what_is_forged_changed_added_or_stale_is_refused() {
    let Some(lab) = Lab::new() else { return };
    let key = lab.key("one@test");
    let signed = lab.openpgp().sign_clear(TEXT.as_bytes(), key.as_str()).unwrap();
    let signers = |key: &Fingerprint, name: &str| Signers {
        keys: Keys::File(lab.export(key, name, true)),
        fingerprint: None,
    };
    let trusted = signers(&key, "key");
    let text = String::from_utf8(signed.clone()).unwrap();
    let error = |text: String| verify(&lab, text.as_bytes(), &trusted).unwrap_err();
    let changed = error(text.replace("file=a.xz", "file=b.xz"));
    assert!(matches!(changed, SignatureError::Bad { .. }), "{changed:?}");
    assert!(matches!(error(TEXT.into()), SignatureError::Unsigned { .. }));
    assert!(matches!(error(format!("{TEXT}{text}")), SignatureError::Frame { .. }));
    assert!(matches!(error(format!("{text}{TEXT}")), SignatureError::Frame { .. }));
    assert!(matches!(error(format!("{text}{text}")), SignatureError::Frame { .. }));
    let cut = text.find("\n\n").unwrap();
    let hidden = format!("{}\nfile: x{}", &text[..cut], &text[cut..]);
    assert!(matches!(error(hidden), SignatureError::Frame { .. }));
    let nonsense =
        text.replace("-----BEGIN PGP SIGNATURE-----\n\n", "-----BEGIN PGP SIGNATURE-----\n\nAAAA");
    assert!(matches!(error(nonsense), SignatureError::Bad { .. }));

    // A key that expired a day after it signed.
    let old = lab.key_at("old@test", "20200101T000000", "1d");
    fs::write(lab.path("text"), TEXT).unwrap();
    let (from, to) = (lab.path("text"), lab.path("old.asc"));
    let (from, to) = (from.display().to_string(), to.display().to_string());
    lab.gpg("20200101T010000", &["-u", "old@test", "--output", &to, "--clearsign", &from]);
    let stale = verify(&lab, &fs::read(&to).unwrap(), &signers(&old, "old")).unwrap_err();
    assert!(matches!(stale, SignatureError::Stale { .. }), "{stale:?}");

    // A detached one, over these bytes and over others.
    let sig = lab.path("sig").display().to_string();
    lab.gpg("20210101T000000", &["-u", key.as_str(), "--armor", "--output", &sig, "-b", &from]);
    let signature = fs::read(&sig).unwrap();
    let detached = |data: &[u8]| lab.openpgp().verify_detached(data, &signature, &trusted, "sums");
    assert_eq!(detached(TEXT.as_bytes()).unwrap(), key);
    assert!(matches!(detached(b"other"), Err(SignatureError::Bad { .. })));
    let none = lab.openpgp().verify_detached(b"x", b"", &trusted, "sums").unwrap_err();
    assert!(matches!(none, SignatureError::Bad { .. }), "{none:?}");
}

#[test]
fn a_catalog_is_read_only_as_its_trust_says() {
    let Some(lab) = Lab::new() else { return };
    let key = lab.key("one@test");
    let file = lab.export(&key, "key", true);
    let www = lab.path("www");
    fs::create_dir(&www).unwrap();
    let words = TEXT.replace("- -\n", "");
    let signed = lab.openpgp().sign_clear(words.as_bytes(), key.as_str()).unwrap();
    fs::write(www.join("index.asc"), &signed).unwrap();
    fs::write(www.join("index"), &words).unwrap();
    let server = Server::start(&www);
    let read = |name: &str, trust| lab.reader().read(&source(&server.url(name), trust));

    let entries = read("index.asc", by_file(&file)).unwrap();
    assert_eq!((entries[0].name.as_str(), &entries[0].proof), ("a", &Proof::Signed(key)));
    assert_eq!(entries[0].check, Check::Missing);
    assert_eq!(entries[0].url.secret(), server.url("a.xz"));
    let error = read("index", by_file(&file)).unwrap_err();
    let CatalogError::Signature { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, SignatureError::Unsigned { .. }));
    for name in ["index", "index.asc"] {
        assert_eq!(read(name, Trust::Unsigned).unwrap()[0].proof, Proof::Unsigned);
        assert!(matches!(read(name, Trust::Unknown), Err(CatalogError::NoTrust { .. })));
    }
}
