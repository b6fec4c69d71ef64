// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image ls`, `cat`, `df`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kiln_testkit::{Files, run};
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
    let files = files.link("srv/nowhere", "/no");
    let Some(lab) = Lab::with(files.dir("srv/sub").file("srv/sub/x", "22").mode(0o4755)) else {
        return;
    };
    let out = lab.image("ls", &["/srv"]).success();
    assert_eq!(
        out.stdout, "a\\u{1b}b\nhost\nnowhere\nsub\n",
        "nothing in a name reaches the terminal"
    );
    let out = lab.image("ls", &["-lR", "/srv"]).success();
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert!(lines[0].starts_with("MODE"), "{}", out.stdout);
    assert!(lines.iter().any(|l| l.starts_with("-rwsr-xr-x") && l.ends_with("/srv/sub/x")));
    assert!(lines.iter().any(|l| l.ends_with("/srv/host -> /etc/hostname")), "{}", out.stdout);
    let json = lab.json("ls", &["/srv/sub"]);
    let entry = &json["entries"][0];
    assert_eq!((&entry["path"], &entry["mode"]), (&json!("/srv/sub/x"), &json!("4755")));
    assert_eq!((&entry["size"], &entry["kind"]), (&json!(2), &json!("file")));
    // A link to a file is the file, and with `-l` the link; one that leads nowhere is seen, too.
    assert_eq!(lab.json("ls", &["/srv/host"])["entries"][0]["kind"], "file");
    let out = lab.image("ls", &["-l", "/srv/host"]).success();
    assert!(out.stdout.lines().any(|l| l.starts_with("lrwxrwxrwx")), "{}", out.stdout);
    assert!(out.stdout.ends_with(" /srv/host -> /etc/hostname\n"), "{}", out.stdout);
    assert_eq!(lab.image("ls", &["/srv/nowhere"]).code, 4);
    let out = lab.image("ls", &["-l", "/srv/nowhere"]).success();
    assert!(out.stdout.ends_with(" /srv/nowhere -> /no\n"), "{}", out.stdout);
    // A link to a folder is that folder.
    let out = lab.image("ls", &["/bin"]).success();
    assert!(out.stdout.lines().any(|l| l == "sh"), "{}", out.stdout);
}

/// Any bytes can be names. Their JSON can be told apart, and turned back.
#[test]
fn names_need_not_be_text() {
    let Some(lab) = Lab::debian() else { return };
    let tree = lab.path("tree");
    let bytes = OsStr::from_bytes(b"caf\xe9");
    std::fs::create_dir(&tree).expect("made");
    std::fs::write(Path::new(&tree).join(bytes), "1").expect("written");
    std::fs::write(format!("{tree}/caf\\xe9"), "2").expect("written");
    std::os::unix::fs::symlink(bytes, format!("{tree}/link")).expect("linked");
    drop(lab.image("copy-in", &[&tree, "-C", "/home"]).success());
    let json = lab.json("ls", &["/home/tree"]);
    let entries = json["entries"].as_array().expect("entries");
    assert_eq!(entries[0]["path"], "/home/tree/caf\\xe9");
    assert_eq!(entries[0].get("path_base64"), None);
    assert_eq!(entries[1]["path"], "/home/tree/caf\u{fffd}");
    assert_eq!(entries[1]["path_base64"], "L2hvbWUvdHJlZS9jYWbp");
    assert_eq!(entries[2]["target"], "caf\u{fffd}");
    assert_eq!(entries[2]["target_base64"], "Y2Fm6Q==");
    // With the bytes it is found.
    let command = r#""$0" image cat "$1" "$(printf '/home/tree/caf\351')""#;
    let home = lab.path("home");
    let cat = ["sh", "-c", command, env!("CARGO_BIN_EXE_kiln"), &lab.disk()];
    assert_eq!(kiln_testkit::run_with(&cat, &[("KILN_HOME", &home)]).success().stdout, "1");
    let copy = lab.path("copy.qcow2");
    drop(lab.image("customize", &["-o", &copy, "--delete", "/home/tree"]).success());
    let out = lab.kiln(&["image", "diff", &lab.disk(), &copy, "/home", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out.stdout).expect("JSON");
    let all = json["differences"].as_array().expect("differences");
    assert!(all.iter().any(|one| one["path_base64"] == "L2hvbWUvdHJlZS9jYWbp"), "{json}");
    assert!(all.iter().any(|one| one["old"]["target_base64"] == "Y2Fm6Q=="), "{json}");
}

/// A disk for data has no system, and maybe several file systems.
#[test]
fn one_of_several_file_systems_is_chosen_by_name() {
    let Some(lab) = Lab::debian() else { return };
    let raw = lab.path("data.raw");
    let make = format!(
        "truncate -s 20M {raw} && printf 'label: dos\\nstart=2048,size=16384\\nstart=18432\\n' |
            sfdisk -q {raw} && mke2fs -q -F -t ext4 -E offset=1048576 {raw} 8M &&
            mke2fs -q -F -t ext4 -E offset=9437184 {raw} 11M"
    );
    drop(run(&["sh", "-c", &make]).success());
    let image = |verb: &str, args: &[&str]| lab.kiln(&[&["image", verb, &raw], args].concat());
    let out = image("ls", &[]);
    assert_eq!(out.code, 3);
    assert!(
        out.stderr.contains("hint: choose a file system by its name: `--root sda1`"),
        "{out:?}"
    );
    let note = lab.path("note");
    std::fs::write(&note, "2\n").expect("written");
    drop(image("copy-in", &["--root", "sda2", &note]).success());
    assert_eq!(image("cat", &["--root", "/dev/sda2", "/note"]).success().stdout, "2\n");
    assert_eq!(image("ls", &["--root=sda1"]).success().stdout, "lost+found\n");
    let out = image("ls", &["--root", "sda3"]);
    assert_eq!((out.code, out.stderr.contains("`sda3`")), (4, true), "{out:?}");
    // The name of a system's root is that system, with what it mounts.
    let out = lab.image("ls", &["--root", "sda2", "/boot/efi"]).success();
    assert_eq!(out.stdout, "GRUB.CFG\n");
    assert_eq!(lab.image("ls", &["--root", "sda1"]).success().stdout, "GRUB.CFG\n");
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
