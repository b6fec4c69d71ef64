// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virt-builder reads what Kiln writes, and Kiln what virt-builder-repository writes.

use std::fs;

use kiln_build::catalog::checksum::{Algorithm, Hasher};
use kiln_build::catalog::{CatalogError, Check, virt_builder};
use kiln_spec::Bytes;
use kiln_testkit::{need_program, run};

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
