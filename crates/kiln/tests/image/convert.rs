// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image convert` and `resize`.

use std::fs;
use std::path::Path;

use kiln_testkit::{need_program, run};
use serde_json::{Value, json};

use crate::support::Lab;

/// Checks that two files hold the same disk.
#[track_caller]
fn same(lab: &Lab, format: &str, copy: &str) {
    drop(run(&["qemu-img", "compare", "-f", "qcow2", "-F", format, &lab.disk(), copy]).success());
}

#[test]
fn a_copy_in_each_format_is_the_same_disk() {
    let Some(lab) = Lab::debian() else { return };
    let mut targets =
        vec![("a.raw", vec![], "raw"), ("b.qcow2", vec!["--compress", "zstd"], "qcow2")];
    if need_program("qemu-storage-daemon") {
        targets.push(("c.vmdk", vec![], "vmdk"));
        targets.push(("d", vec!["-O", "vmdk-stream"], "vmdk"));
        targets.push(("e.vhdx", vec![], "vhdx"));
    }
    for (name, options, format) in targets {
        let target = lab.path(name);
        let out = lab.image("convert", &[&[target.as_str()], &options[..]].concat()).success();
        let shown = if name == "d" { "vmdk-stream" } else { format };
        assert!(
            out.stdout.starts_with(&format!("{target}: {shown}, a disk of 64 MiB in ")),
            "{out:?}"
        );
        same(&lab, format, &target);
    }
    // And back, from a format that QEMU reads for us.
    if Path::new(&lab.path("c.vmdk")).exists() {
        let back = lab.path("back");
        let out = lab.kiln(&["image", "convert", &lab.path("c.vmdk"), &back, "--json"]).success();
        let result: Value = serde_json::from_str(&out.stdout).expect("JSON");
        assert_eq!((&result["format"], &result["target"]), (&json!("qcow2"), &json!(back)));
        assert_eq!(result["dry_run"], json!(false));
        same(&lab, "qcow2", &back);
        let out = lab.kiln(&["image", "cat", &lab.path("c.vmdk"), "/etc/hostname"]).success();
        assert_eq!(out.stdout, "bookworm\n");
    }
}

#[test]
fn what_is_there_is_replaced_only_when_asked() {
    let Some(lab) = Lab::debian() else { return };
    let target = lab.path("target.qcow2");
    let out = lab.image("convert", &[&target, "--dry-run"]).success();
    assert_eq!(out.stdout, format!("{target}: qcow2, would be made\n"));
    assert!(!Path::new(&target).exists());
    fs::write(&target, "precious").unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let out = lab.image("convert", &[&[target.as_str()], more].concat());
        assert_eq!(out.code, 4, "{out:?}");
        let said = format!("error: `{target}` exists already\nhint: `--force` replaces it\n");
        assert_eq!(out.stderr, said);
    }
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    drop(lab.image("convert", &[&target, "--force"]).success());
    same(&lab, "qcow2", &target);
    let out = lab.image("convert", &[&lab.path("x.raw"), "--compress", "zlib"]);
    assert_eq!(out.code, 2, "{out:?}");
    let out = lab.image("convert", &["-"]);
    assert_eq!((out.code, out.stderr.contains("one that is called `-` is `./-`")), (2, true));
    let odd = lab.path("disk.foo");
    let out = lab.image("convert", &[&odd]).success();
    assert!(out.stderr.contains("no format is known by `.foo`: the copy is qcow2"), "{out:?}");
    same(&lab, "qcow2", &odd);
    for more in [&["-O", "qcow2", "--force"][..], &["--force", "--dry-run"]] {
        let out = lab.image("convert", &[&[odd.as_str()], more].concat()).success();
        assert_eq!(out.stderr.contains("no format is known"), more[0] != "-O", "{out:?}");
    }
}

#[test]
fn a_disk_grows_and_shrinks_with_its_last_file_system() {
    let Some(lab) = Lab::debian() else { return };
    if !need_program("resize2fs") {
        return;
    }
    let before = lab.bytes();
    let dry = lab.json("resize", &["+64M", "--dry-run"]);
    assert_eq!((&dry["dry_run"], &dry["changed"]), (&json!(true), &json!(true)));
    assert!(lab.bytes() == before);
    let grown = lab.json("resize", &["+64M"]);
    assert_eq!(grown["size"], json!(128 << 20));
    assert_eq!(grown["partition"]["number"], json!(2));
    assert_eq!(grown["file_system_size"], grown["partition"]["size"]);
    assert_eq!(grown["content"], json!("ext4"));
    assert_eq!(lab.image("cat", &["/etc/hostname"]).success().stdout, "bookworm\n");
    drop(run(&["qemu-img", "check", &lab.disk()]).success());
    let out = lab.image("resize", &["100M"]);
    assert_eq!(out.code, 2, "{out:?}");
    assert!(out.stderr.contains("--shrink"), "{}", out.stderr);
    let small = lab.path("small.qcow2");
    let out = lab.image("resize", &["-50M", "--shrink", "-o", &small]).success();
    assert!(out.stdout.starts_with("disk: 78 MiB (had 128 MiB)\npartition 2: "), "{}", out.stdout);
    let out = lab.kiln(&["image", "cat", &small, "/etc/hostname"]).success();
    assert_eq!(out.stdout, "bookworm\n");
    let out = lab.image("resize", &["200M", "--partition", "1"]);
    assert_eq!(out.code, 4, "{out:?}");
    assert!(out.stderr.contains("partition 1 cannot grow: partition 2 is behind it"), "{out:?}");
    let out = lab.image("resize", &["5M", "--shrink"]);
    assert_ne!(out.code, 0, "{out:?}");
}
