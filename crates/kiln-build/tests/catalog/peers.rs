// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virt-builder reads what Kiln writes, and Kiln what virt-builder-repository writes.

use std::fs;

use kiln_build::catalog::checksum::{Algorithm, Hasher};
use kiln_build::catalog::repository::{self, Change, Options};
use kiln_build::catalog::{CatalogError, Check, virt_builder};
use kiln_spec::Bytes;
use kiln_testkit::http::{Lie, Server};
use kiln_testkit::{Files, Output, need_program, run, run_with};

use crate::support::{Lab, by_file, source};

/// When keys of tests sign.
const NOW: &str = "20210101T000000";

/// virt-builder-repository asks an appliance about an image only if the checksum in its index is
/// wrong; here it is right, so that it compresses, writes and signs without one.
#[test]
fn kiln_reads_a_repository_that_virt_builder_repository_wrote() {
    if !need_program("virt-builder-repository") || !need_program("xz") {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let key = lab.key("repository@test");
    let repository = lab.path("repository");
    fs::create_dir(&repository).unwrap();
    let image = repository.join("tiny.raw");
    fs::write(&image, [7; 1 << 20]).unwrap();
    let shown = image.display().to_string();
    let packed = lab.path("packed.xz").display().to_string();
    let script = format!("xz --best --block-size=16777216 -c {shown} > {packed}");
    drop(run(&["sh", "-c", &script]).success());
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(&fs::read(&packed).unwrap());
    let checksum = hasher.finish();
    let index = format!(
        "[tiny-1]\nname=Tiny® 1\nfile=tiny.raw.xz\narch=x86_64\nchecksum[sha512]={}\nsize=1048576\n\
         format=raw\nrevision=3\nnotes=One.\n Two.\naliases=small little\n\n",
        checksum.hex()
    );
    fs::write(repository.join("index"), index).unwrap();
    // Its own `-K` is broken in 1.48 of Debian 12 (it runs `gpg/index.gpg`): gpg signs as it would.
    drop(run(&["virt-builder-repository", &repository.display().to_string()]).success());
    let uri = repository.join("index.asc").display().to_string();
    let plain = repository.join("index").display().to_string();
    lab.gpg(NOW, &["-u", key.as_str(), "--armor", "--output", &uri, "--clearsign", &plain]);
    let trust = by_file(&lab.export(&key, "index.gpg", true));
    let entries = lab.reader().read(&source(&uri, trust.clone())).unwrap();
    let entry = &entries[0];
    assert_eq!(entry.name, "tiny-1");
    assert_eq!(entry.title, "Tiny® 1");
    assert_eq!(entry.check, Check::Known(checksum));
    assert_eq!((entry.size, entry.version.as_str()), (Some(Bytes(1 << 20)), "3"));
    assert_eq!(entry.notes_for("de_DE.UTF-8"), Some("One.\nTwo."));
    assert!(entry.is_called("little"));
    assert_eq!(fs::read(entry.url.path().unwrap()).unwrap(), fs::read(&packed).unwrap());
    // What it wrote is what Kiln would write.
    let plain = fs::read(plain).unwrap();
    let all = virt_builder::parse(&plain, "index").unwrap();
    assert_eq!(virt_builder::parse(virt_builder::write(&all).as_bytes(), "again").unwrap(), all);

    let signed = fs::read_to_string(&uri).unwrap();
    fs::write(&uri, signed.replace("revision=3", "revision=4")).unwrap();
    let error = lab.reader().read(&source(&uri, trust)).unwrap_err();
    assert!(matches!(error, CatalogError::Signature { .. }), "{error:?}");
}

/// Runs virt-builder with the lab's GnuPG, a cache of its own and no other sources.
fn virt_builder(lab: &Lab, args: &[&str]) -> Output {
    let (home, cache) = (lab.home(), lab.path("cache").display().to_string());
    let none = lab.path("none").display().to_string();
    let envs = [
        ("GNUPGHOME", home.as_str()),
        ("XDG_CACHE_HOME", &cache),
        ("XDG_CONFIG_HOME", &none),
        ("VIRT_BUILDER_DIRS", &none),
        ("LC_ALL", "C.UTF-8"),
    ];
    run_with(&[&["virt-builder"], args].concat(), &envs)
}

#[test]
fn virt_builder_reads_verifies_and_fetches_from_a_repository_that_kiln_wrote() {
    let tools = ["virt-builder", "mke2fs", "debugfs", "xz", "curl", "qemu-img"];
    if !tools.into_iter().all(need_program) {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let key = lab.key("kiln@test");
    let www = lab.path("www");
    fs::create_dir(&www).unwrap();
    Files::debian().ext(&www.join("debian-12.raw"), "32M", &["-t", "ext4"]);
    let raw = www.join("debian-12.raw").display().to_string();
    let qcow2 = www.join("other.qcow2").display().to_string();
    drop(run(&["qemu-img", "convert", "-f", "raw", "-O", "qcow2", &raw, &qcow2]).success());
    let options = Options { key: Some(key.as_str().to_owned()), level: Some(1), dry_run: false };
    let make = || repository::make(&www, &options, lab.openpgp(), &|_, _, _| {}).unwrap();
    let changes = |made: &[(virt_builder::Template, Change)]| -> Vec<(String, u64, Change)> {
        made.iter().map(|(t, c)| (t.id.clone(), t.revision, c.clone())).collect()
    };
    let made = make();
    let (one, two) = ("debian-12".to_owned(), "other".to_owned());
    assert_eq!(changes(&made), [(one.clone(), 1, Change::Added), (two.clone(), 1, Change::Added)]);
    // What a person writes into the index is kept.
    let index = fs::read_to_string(www.join("index")).unwrap();
    let index = index.replacen("revision=1\n", "revision=1\nnotes=Hello.\n  World.\n", 1);
    fs::write(www.join("index"), index).unwrap();
    let made = make();
    assert_eq!(
        changes(&made),
        [(one.clone(), 1, Change::Unchanged), (two.clone(), 1, Change::Unchanged)]
    );
    assert_eq!(made[0].0.notes[""], "Hello.\n World.");
    assert_eq!(made[0].0.osinfo.as_deref(), Some("debian12"));

    let server = Server::start(&www);
    let uri = server.url("index.asc");
    let signed = ["--source", uri.as_str(), "--fingerprint", key.as_str()];
    let list = virt_builder(&lab, &[&signed[..], &["--list"]].concat()).success().stdout;
    assert!(list.lines().any(|line| line.starts_with("debian-12 ")), "{list}");
    let notes = virt_builder(&lab, &[&signed[..], &["--notes", "debian-12"]].concat()).success();
    assert!(notes.stdout.contains("Hello.\n World."), "{}", notes.stdout);
    // It checks each checksum as it caches the images.
    drop(virt_builder(&lab, &[&signed[..], &["--cache-all-templates"]].concat()).success());
    let cached = lab.path("cache").join("virt-builder/debian-12.x86_64.1");
    assert_eq!(fs::read(cached).unwrap(), fs::read(www.join("debian-12.raw.xz")).unwrap());

    // And what is forged, it refuses as Kiln does.
    server.lie("index.asc", Lie::Flip(120));
    assert_ne!(virt_builder(&lab, &[&signed[..], &["--list"]].concat()).code, 0);
    let trust = by_file(&www.join("index.gpg"));
    let error = lab.reader().read(&source(&uri, trust.clone())).unwrap_err();
    assert!(matches!(error, CatalogError::Signature { .. }), "{error:?}");
    server.honest();
    assert_eq!(lab.reader().read(&source(&uri, trust)).unwrap().len(), 2);

    // A changed image is a new revision, one that is gone is listed no more.
    fs::remove_file(www.join("other.qcow2")).unwrap();
    fs::remove_file(www.join("other.qcow2.xz")).unwrap();
    Files::debian().ext(&www.join("debian-12.raw"), "40M", &["-t", "ext4"]);
    let made = make();
    assert_eq!(changes(&made), [(one, 2, Change::Updated), (two, 1, Change::Removed)]);
    let entries = lab.reader().read(&source(&uri, by_file(&www.join("index.gpg")))).unwrap();
    assert_eq!((entries.len(), entries[0].version.as_str()), (1, "2"));
}
