// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `-o NAME`: changed copies that become images of the store.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs;
use std::path::Path;

use kiln_testkit::run;
use serde_json::{Value, json};

use crate::support::Lab;

fn info(lab: &Lab, name: &str) -> Value {
    serde_json::from_str(&lab.kiln(&["image", "info", name]).success().stdout).unwrap()
}

/// What lies in the store besides images with a name.
fn under_way(lab: &Lab) -> usize {
    let store = lab.path("home/store");
    let images = fs::read_dir(format!("{store}/images/sha256")).map_or(0, Iterator::count);
    let names = fs::read_dir(format!("{store}/images/names")).map_or(0, Iterator::count);
    images - names + fs::read_dir(format!("{store}/tmp")).map_or(0, Iterator::count)
}

#[test]
fn a_changed_copy_becomes_an_image_of_the_store() {
    let Some(lab) = Lab::debian() else { return };
    let before = lab.bytes();
    drop(lab.image("customize", &["-o", "web", "--hostname", "web", "--dry-run"]).success());
    assert_eq!(lab.kiln(&["image", "info", "web"]).code, 4);
    drop(lab.image("customize", &["-o", "web", "--hostname", "web"]).success());
    assert!(lab.bytes() == before);
    let web = info(&lab, "web");
    for (key, value) in [
        ("name", json!("web")),
        ("names", json!(["web"])),
        ("arch", json!("amd64")),
        ("disk_format", json!("qcow2")),
        ("virtual_size", json!(64 << 20)),
        ("made", json!({ "by": "edited", "packages": 0 })),
        ("format", json!(1)),
    ] {
        assert_eq!(web[key], value, "{key}");
    }
    assert_eq!(web["os"]["id"], "debian");
    let digest = web["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let disk = lab.path(&format!("home/store/images/sha256/{digest}/disk.qcow2"));
    assert_eq!(web["path"], json!(disk));
    let file = lab.disk();
    let out = lab.kiln(&["image", "info", &file]);
    assert_eq!(out.code, 4, "{out:?}");
    let hint = format!("hint: `kiln image inspect {file}` looks into that file\n");
    assert!(out.stderr.ends_with(&hint), "{}", out.stderr);
    let sum = run(&["sha256sum", &disk]).success().stdout;
    assert_eq!(sum.split(' ').next().unwrap(), digest);
    assert_eq!(fs::metadata(&disk).unwrap().len(), web["file_size"]);
    drop(run(&["qemu-img", "check", &disk]).success());
    let cat = lab.kiln(&["image", "cat", "web", "/etc/hostname"]).success();
    assert_eq!(cat.stdout, "web\n");

    // From that one another, by the other verbs, too; each knows where it comes from.
    drop(lab.kiln(&["image", "seal", "web", "-o", "template"]).success());
    assert_eq!(info(&lab, "template")["made"]["from"], web["digest"]);
    drop(lab.kiln(&["image", "resize", "template", "80M", "-o", "larger"]).success());
    assert_eq!(info(&lab, "larger")["virtual_size"], json!(80 << 20));
    assert_eq!(lab.kiln(&["image", "cat", "larger", "/etc/hostname"]).success().stdout, "web\n");
    assert_eq!(under_way(&lab), 0);
}

#[test]
fn a_raw_disk_becomes_qcow2() {
    let Some(lab) = Lab::debian() else { return };
    let raw = lab.path("disk.raw");
    drop(run(&["qemu-img", "convert", "-O", "raw", &lab.disk(), &raw]).success());
    drop(lab.kiln(&["image", "customize", &raw, "-o", "from-raw", "--touch", "/etc/x"]).success());
    let digest = info(&lab, "from-raw")["digest"].as_str().unwrap().replace("sha256:", "");
    let disk = lab.path(&format!("home/store/images/sha256/{digest}/disk.qcow2"));
    drop(run(&["qemu-img", "check", "-f", "qcow2", &disk]).success());
    drop(lab.kiln(&["image", "cat", "from-raw", "/etc/x", "/boot/efi/grub.cfg"]).success());
    assert_eq!(under_way(&lab), 0);
}

#[test]
fn a_name_that_is_taken_or_none_is_refused_and_nothing_is_left() {
    let Some(lab) = Lab::debian() else { return };
    drop(lab.image("customize", &["-o", "web", "--hostname", "one"]).success());
    let first = info(&lab, "web");
    for (output, more, code) in [
        ("web", &["--hostname", "two"][..], 4),
        ("web", &["--hostname", "two", "--dry-run"], 4),
        ("Not a Name", &["--hostname", "two"], 2),
        // The operation fails.
        ("other", &["--touch", "/no/where/x"], 4),
    ] {
        let out = lab.image("customize", &[&["-o", output], more].concat());
        assert_eq!(out.code, code, "{output}: {out:?}");
        assert_eq!(under_way(&lab), 0, "{output}");
    }
    assert_eq!(info(&lab, "web"), first);
    assert_eq!(lab.kiln(&["image", "info", "other"]).code, 4);
    // With a slash or an ending it is a file.
    let file = lab.path("web");
    drop(lab.image("customize", &["-o", &file, "--hostname", "file"]).success());
    assert!(Path::new(&file).is_file());
    assert_eq!(info(&lab, "web"), first);
}
