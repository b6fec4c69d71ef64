// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image ls`, `cat`, `df`.

use kiln_testkit::Files;
use serde_json::json;

use crate::support::Lab;

#[test]
fn files_are_printed_byte_for_byte() {
    let Some(lab) = Lab::with(Files::debian().file("etc/odd", b"a\0\xff\r\n")) else { return };
    let out = lab.image("cat", &["/etc/hostname", "etc/debian_version"]).success();
    assert_eq!(out.stdout, "bookworm\n12.5\n");
    // Links are followed inside the guest; the other partition is where fstab mounts it.
    let out = lab.image("cat", &["/etc/os-release"]).success();
    assert!(out.stdout.contains("bookworm"), "{}", out.stdout);
    assert_eq!(lab.image("cat", &["/boot/efi/grub.cfg"]).success().stdout, "set root=hd0\n");
    assert_eq!(lab.image("cat", &["/etc/odd"]).success().stdout, "a\0\u{fffd}\r\n");
    let json = lab.json("cat", &["/etc/hostname"]);
    assert_eq!(json["files"], json!([{ "path": "/etc/hostname", "text": "bookworm\n" }]));
    let out = lab.image("cat", &["/etc/odd", "--json"]);
    assert_eq!((out.code, out.stderr.contains("`/etc/odd` is no text")), (2, true));
}

#[test]
fn folders_are_listed() {
    let files = Files::debian().file("srv/a\u{1b}b", "1").link("srv/host", "/etc/hostname");
    let Some(lab) = Lab::with(files.dir("srv/sub").file("srv/sub/x", "22").mode(0o4755)) else {
        return;
    };
    let out = lab.image("ls", &["/srv"]).success();
    assert_eq!(out.stdout, "a\\u{1b}b\nhost\nsub\n", "nothing in a name reaches the terminal");
    let out = lab.image("ls", &["-lR", "/srv"]).success();
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert!(lines[0].starts_with("MODE"), "{}", out.stdout);
    assert!(lines.iter().any(|l| l.starts_with("-rwsr-xr-x") && l.ends_with("/srv/sub/x")));
    assert!(lines.iter().any(|l| l.ends_with("/srv/host -> /etc/hostname")), "{}", out.stdout);
    let json = lab.json("ls", &["/srv/sub"]);
    let entry = &json["entries"][0];
    assert_eq!((&entry["path"], &entry["mode"]), (&json!("/srv/sub/x"), &json!("4755")));
    assert_eq!((&entry["size"], &entry["kind"]), (&json!(2), &json!("file")));
    // A link to a folder is that folder.
    let out = lab.image("ls", &["/bin"]).success();
    assert!(out.stdout.lines().any(|l| l == "sh"), "{}", out.stdout);
}

#[test]
fn what_is_full_is_told_of_each_file_system() {
    let Some(lab) = Lab::debian() else { return };
    let json = lab.json("df", &[]);
    let all = json["file_systems"].as_array().expect("file systems");
    let shown: Vec<_> = all.iter().map(|fs| (&fs["mounted_on"], &fs["type"])).collect();
    assert_eq!(shown, [(&json!("/"), &json!("ext4")), (&json!("/boot/efi"), &json!("vfat"))]);
    assert!(lab.image("df", &[]).success().stdout.starts_with("MOUNTED ON  SOURCE"));
}

#[test]
fn what_is_not_there_is_named() {
    let Some(lab) = Lab::debian() else { return };
    let out = lab.image("cat", &["/no/such"]);
    assert_eq!(out.code, 4);
    assert_eq!(out.stderr, "error: `/no/such` is not in the guest\n");
    let out = lab.image("cat", &["/etc"]);
    assert_eq!((out.code, out.stderr.contains("`/etc` is no file of the guest")), (4, true));
    let out = lab.kiln(&["image", "ls", "nothing.qcow2"]);
    assert_eq!((out.code, out.stderr.contains("no file `nothing.qcow2` here")), (4, true));
    let out = lab.kiln(&["image", "ls", &lab.path("nothing.qcow2")]);
    assert_eq!((out.code, out.stderr.contains("nothing.qcow2")), (4, true), "{}", out.stderr);
    let out = lab.kiln(&["image", "ls", "nosuch"]);
    assert_eq!((out.code, out.stderr.contains("there is no image `nosuch`")), (4, true));
    let out = lab.image("ls", &["--root", "2"]);
    assert_eq!((out.code, out.stderr.contains("no system 2")), (4, true), "{}", out.stderr);
}

#[test]
fn links_never_lead_out_of_the_guest() {
    // The host has this file, the guest has not.
    let canary = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(canary.path(), "of the host").expect("written");
    let host = canary.path().display().to_string();
    let up = format!("{}{host}", "../".repeat(20));
    let files = Files::debian().link("srv/abs", &host).link("srv/up", &up).link("srv/loop", "loop");
    let Some(lab) = Lab::with(files) else { return };
    for path in ["/srv/abs", "/srv/up", &up] {
        let out = lab.image("cat", &[path]);
        assert_eq!((out.code, out.stdout.as_str()), (4, ""), "{path}: {}", out.stderr);
    }
    let out = lab.image("cat", &["/srv/loop"]);
    assert_eq!((out.code, out.stderr.contains("too many symbolic links")), (4, true));
}
