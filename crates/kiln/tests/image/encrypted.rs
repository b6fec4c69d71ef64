// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images that QEMU encrypts: a disk in LUKS, and a qcow2 file with LUKS in it.

use std::fs;

use kiln_testkit::run;

use crate::support::Lab;

/// A disk in both formats, and the files with passphrases.
struct Encrypted {
    lab: Lab,
    images: [String; 2],
    key: String,
    wrong: String,
}

impl Encrypted {
    fn new() -> Option<Self> {
        let lab = Lab::debian()?;
        let (pass, key, wrong) = (lab.path("pass"), lab.path("key"), lab.path("wrong"));
        fs::write(&pass, "correct horse").expect("written");
        // The passphrase ends before the line feed.
        fs::write(&key, "correct horse\n").expect("written");
        fs::write(&wrong, "battery staple\n").expect("written");
        let secret = format!("secret,id=key,file={pass}");
        let make = |format: &str, options: &str| {
            let image = lab.path(&format!("encrypted.{format}"));
            let convert = ["qemu-img", "convert", "-O", format, "--object", &secret, "-o", options];
            drop(run(&[&convert[..], &[&lab.disk(), &image]].concat()).success());
            image
        };
        let images = [
            make("luks", "key-secret=key,iter-time=10"),
            make("qcow2", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"),
        ];
        Some(Self { lab, images, key, wrong })
    }
}

#[test]
fn an_encrypted_image_is_read_and_changed_with_its_key() {
    let Some(Encrypted { lab, images, key, wrong }) = Encrypted::new() else { return };
    for image in &images {
        let keys = ["--key-file", &wrong, "--key-file", &key];
        let kiln = |verb: &str, args: &[&str]| {
            lab.kiln(&[&["image", verb, image.as_str()], args, &keys[..]].concat())
        };
        assert_eq!(kiln("cat", &["/etc/hostname"]).success().stdout, "bookworm\n");
        let before = fs::read(image).expect("the image");
        drop(kiln("customize", &["--hostname", "secret", "--dry-run"]).success());
        assert!(fs::read(image).expect("the image") == before, "a dry run changes nothing");
        drop(kiln("customize", &["--hostname", "secret"]).success());
        assert_eq!(kiln("cat", &["/etc/hostname"]).success().stdout, "secret\n");
        let after = fs::read(image).expect("the image");
        assert!(!after.windows(7).any(|w| w == b"secret\n"), "what is written is encrypted");
        let out = kiln("check", &[]);
        assert_eq!(out.code, 0, "{out:?}");
        let plain = lab.path("plain.qcow2");
        drop(kiln("convert", &["--force", &plain]).success());
        let out = lab.kiln(&["image", "cat", &plain, "/etc/hostname"]).success();
        assert_eq!(out.stdout, "secret\n");
    }
}

#[test]
fn an_encrypted_image_without_its_key_is_told_to_be_one() {
    let Some(Encrypted { lab, images, wrong, .. }) = Encrypted::new() else { return };
    for image in &images {
        let before = fs::read(image).expect("the image");
        let out = lab.kiln(&["image", "cat", image, "/etc/hostname", "--key-file", &wrong]);
        assert_eq!(out.code, 2, "{out:?}");
        assert!(out.stderr.contains("no key that was given opens"), "{}", out.stderr);
        for verb in ["ls", "df", "customize"] {
            let more: &[&str] = if verb == "customize" { &["--hostname", "x"] } else { &[] };
            let out = lab.kiln(&[&["image", verb, image.as_str()], more].concat());
            assert_eq!(out.code, 2, "{out:?}");
            assert!(out.stderr.contains("encrypted"), "{}", out.stderr);
            assert!(out.stderr.contains("--key-file"), "{}", out.stderr);
        }
        assert!(fs::read(image).expect("the image") == before, "nothing changed");
    }
}
