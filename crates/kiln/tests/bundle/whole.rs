// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From a tree to a bundle to a disk and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kiln_testkit::run;

use crate::support::{Lab, debugfs, root_of};

#[test]
fn a_bundle_is_an_archive_that_gnu_tar_reads_and_finds_equal() {
    let Some(lab) = Lab::new() else { return };
    let bundle = lab.path("web.tar.zst");
    let json = lab.json(&["create", &lab.path("tree/"), "-o", &bundle, "--exclude", "/srv/set-*"]);
    let manifest = &json["bundle"];
    assert_eq!((&manifest["name"], &manifest["from"]), (&"tree".into(), &"tree".into()));
    assert_eq!(manifest["kernel"], "6.1.0-10-amd64");
    assert_eq!(manifest["firmware"], serde_json::json!(["uefi"]));
    assert_eq!(manifest["os"]["pretty_name"], "Debian GNU/Linux 12 (bookworm)");
    let beside = fs::read_to_string(format!("{bundle}.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&beside).unwrap(), *manifest);
    // Password hashes are in a tree.
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    let sum = run(&["sha256sum", &bundle]).success().stdout;
    let digest = manifest["digest"].as_str().unwrap();
    assert_eq!(sum.split(' ').next(), digest.strip_prefix("sha256:"));

    let tree = lab.path("tree");
    let _ = run(&["tar", "--zstd", "--compare", "-f", &bundle, "-C", &tree]).success();
    let names = run(&["tar", "--zstd", "-tf", &bundle]).success().stdout;
    for (name, there) in [
        ("./srv/same\n", true),
        ("./srv/fifo\n", true),
        ("./tmp/\n", true),
        ("./tmp/big\n", false),
        ("./proc/1/", false),
        ("ssh_host_rsa_key", false),
        ("set-uid", false),
    ] {
        assert_eq!(names.contains(name), there, "{name}");
    }
    let kept = ["create", &lab.path("tree/"), "-o", &lab.path("kept"), "--keep-identity"];
    let _ = lab.bundle(&kept).success();
    let names = run(&["tar", "--zstd", "-tf", &lab.path("kept")]).success().stdout;
    assert!(names.contains("ssh_host_rsa_key"));
}

#[test]
fn a_disk_of_a_bundle_has_the_tree_and_gives_the_same_bundle() {
    let Some(lab) = Lab::new() else { return };
    let bundle = lab.packed();
    let (raw, qcow2) = (lab.path("d.raw"), lab.path("d.qcow2"));
    let options = ["--size", "300MiB", "--swap", "16MiB", "--hostname", "web1"];
    let made = lab.json(&[&["assemble", &bundle, "-o", &raw], &options[..]].concat());
    assert_eq!(
        (&made["kernel"], &made["virtual_size"]),
        (&"6.1.0-10-amd64".into(), &(300 << 20).into())
    );
    let out = lab.bundle(&[&["assemble", &bundle, "-o", &qcow2], &options[..]].concat()).success();
    assert!(out.stderr.contains("boots by UEFI"), "{}", out.stderr);
    assert_eq!(out.stdout.trim(), qcow2);
    let _ = run(&["qemu-img", "check", &qcow2]).success();
    let checked = run(&["e2fsck", "-fn", &format!("{raw}?offset={}", root_of(&raw))]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    assert_eq!(debugfs(&raw, "cat /etc/hostname"), "web1\n");
    assert!(debugfs(&raw, "stat /srv/sparse").contains("Size: 67108867"));

    // Out of the disk again: the same files, but for those that make it boot.
    let back = lab.path("back.tar.zst");
    let _ = lab.bundle(&["create", &qcow2, "-o", &back]).success();
    let listed = |file: &str| {
        let out = run(&["tar", "--zstd", "--numeric-owner", "--full-time", "-tvf", file]);
        let lines: Vec<String> = out.success().stdout.lines().map(str::to_owned).collect();
        lines
    };
    let (before, after) = (listed(&bundle), listed(&back));
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let ours = ["./etc/hosts", "./etc/"];
    assert!(gone.iter().all(|line| ours.iter().any(|o| line.ends_with(o))), "{gone:?}");
    let unpacked = lab.path("out");
    fs::create_dir(&unpacked).unwrap();
    let _ = run(&["tar", "--zstd", "-xf", &back, "-C", &unpacked, "./srv"]).success();
    let _ =
        run(&["diff", "-r", &lab.path("tree/srv/data"), &format!("{unpacked}/srv/same")]).success();
}

#[test]
fn a_disk_that_nobody_measured_fits() {
    let Some(lab) = Lab::new() else { return };
    lab.file("srv/large", &vec![1; 20 << 20]);
    // An archive of others: no manifest, plain.
    let tar = lab.path("plain.tar");
    let _ = run(&[
        "tar",
        "-cf",
        &tar,
        "--exclude=./proc",
        "--exclude=./srv/sparse",
        "-C",
        &lab.path("tree"),
        ".",
    ])
    .success();
    let made = lab.json(&["assemble", &tar, "-o", &lab.path("d.img")]);
    assert_eq!(made["virtual_size"], 8_u64 << 30);
    assert!(made["allocated"].as_u64().unwrap() < 64 << 20, "{made}");
    let info = lab.bundle(&["info", &tar]).success();
    assert!(info.stderr.contains("it has no manifest"), "{}", info.stderr);
    let small = lab.bundle(&["assemble", &tar, "-o", &lab.path("s.raw"), "--size", "80MiB"]);
    assert_eq!(small.code, 2, "{}", small.stderr);
    assert!(small.stderr.contains("hint: `--size "), "{}", small.stderr);
    assert!(small.stderr.contains("the tree needs a disk of"), "{}", small.stderr);
}

#[test]
fn bundles_have_names_and_go_into_the_store_once() {
    let Some(lab) = Lab::new() else { return };
    let out = lab.bundle(&["list"]).success();
    assert!(out.stderr.contains("`kiln bundle create SOURCE` makes one"), "{}", out.stderr);
    let _ = lab.bundle(&["create", &lab.path("tree/"), "--name", "web"]).success();
    let listed = lab.bundle(&["list"]).success().stdout;
    assert!(listed.contains("web ") && listed.contains("6.1.0-10-amd64"), "{listed}");
    let info = lab.bundle(&["info", "web", "--verify"]).success().stdout;
    assert!(info.contains("boots by  UEFI"), "{info}");
    let first = lab.json(&["assemble", "web"]);
    assert_eq!((&first["cached"], &first["image"]["name"]), (&false.into(), &"web".into()));
    assert_eq!(first["image"]["made"]["by"], "bundle");
    let again = lab.json(&["assemble", "web"]);
    assert_eq!(
        (&again["cached"], &again["image"]["digest"]),
        (&true.into(), &first["image"]["digest"])
    );
    let images = lab.kiln(&["image", "list"]).success().stdout;
    assert!(images.contains("web "), "{images}");
    // A launch would take it; a dry run of one that is no image yet makes none.
    let path = lab.packed();
    let dry = lab.kiln(&["launch", &path, "m1", "--dry-run"]);
    assert_eq!(dry.code, 2, "{}", dry.stderr);
    assert!(dry.stderr.contains("kiln bundle assemble"), "{}", dry.stderr);
    let _ = lab.bundle(&["rm", "web"]).success();
    let gone = lab.bundle(&["info", "web"]);
    assert_eq!(gone.code, 4, "{}", gone.stderr);
    assert!(gone.stderr.contains("there is no bundle `web`"), "{}", gone.stderr);
}
