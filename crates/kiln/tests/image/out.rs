// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image inspect`, `copy-out`, `tar-out`, `diff`.

use std::fs;

use kiln_testkit::{Files, need_program, run};
use serde_json::json;

use crate::support::Lab;

#[test]
fn images_are_inspected() {
    let status = "Package: bash\nStatus: install ok installed\nVersion: 5.2\nArchitecture: amd64\n";
    let Some(lab) = Lab::with(Files::debian().file("var/lib/dpkg/status", status)) else { return };
    let found = lab.json("inspect", &[]);
    assert_eq!(found["disk"]["table"], "gpt");
    let parts = found["disk"]["parts"].as_array().expect("parts");
    let shown: Vec<_> = parts.iter().map(|part| (&part["device"], &part["content"])).collect();
    assert_eq!(shown, [(&json!("sda1"), &json!("vfat")), (&json!("sda2"), &json!("ext4"))]);
    let system = &found["systems"][0];
    assert_eq!(system["os"]["id"], "debian");
    assert_eq!(
        (&system["hostname"], &system["architecture"]),
        (&json!("bookworm"), &json!("x86_64"))
    );
    assert_eq!(system["machine_id"]["state"], "set");
    let package = json!({ "name": "bash", "version": "5.2", "architecture": "amd64" });
    assert_eq!(system["packages"], json!([package]));
    let out = lab.image("inspect", &[]).success();
    assert!(out.stdout.starts_with("disk of 64 MiB, gpt\nPART"), "{}", out.stdout);
    assert!(out.stdout.contains("system         Debian GNU/Linux 12 (bookworm)\n"));
    assert!(out.stdout.contains("packages       1 (dpkg)\n"), "{}", out.stdout);
    let out = lab.image("inspect", &["--packages"]).success();
    assert!(out.stdout.contains("bash     5.2      amd64"), "{}", out.stdout);
}

#[test]
fn words_of_the_guest_do_not_reach_the_terminal() {
    let files = Files::debian().file("etc/hostname", "\u{1b}[31mred\u{7}\n");
    let Some(lab) = Lab::with(files) else { return };
    let out = lab.image("inspect", &[]).success();
    assert!(!out.stdout.contains(['\u{1b}', '\u{7}']), "{}", out.stdout);
}

#[test]
fn an_image_without_a_system_is_inspected_as_a_disk() {
    let Some(lab) = Lab::with(Files::new().file("data", "x")) else { return };
    let found = lab.json("inspect", &[]);
    assert_eq!(found["systems"], json!([]));
    assert_eq!(found["disk"]["parts"][1]["label"], "ROOT");
    assert_eq!(found["notes"], json!(["there is no system in the image"]));
}

#[test]
fn files_are_copied_out() {
    let files = Files::debian().file("srv/a/x", "1").mode(0o4755).link("srv/a/out", "/etc/passwd");
    let Some(lab) = Lab::with(files) else { return };
    let to = lab.path("to");
    fs::create_dir(&to).expect("made");
    let done = lab.json("copy-out", &["/srv/a", "/etc/hostname", "-C", &to]);
    assert_eq!((&done["entries"], &done["bytes"]), (&json!(3), &json!(10)));
    assert_eq!(done["left_out"][0]["path"], "/srv/a/out");
    assert_eq!(fs::read_to_string(format!("{to}/hostname")).expect("read"), "bookworm\n");
    assert_eq!(fs::read_to_string(format!("{to}/a/x")).expect("read"), "1");
    let mode = run(&["stat", "-c", "%a", &format!("{to}/a/x")]).success().stdout;
    assert_eq!(mode, "755\n");
    let out = lab.image("copy-out", &["/no/such", "-C", &to]);
    assert_eq!((out.code, out.stderr.contains("`/no/such` is not in the guest")), (4, true));
    let out = lab.image("copy-out", &["/etc", "-C", &lab.path("missing")]);
    assert_eq!(out.code, 4, "{}", out.stderr);
}

#[test]
fn folders_become_archives() {
    let Some(lab) = Lab::with(Files::debian().file("srv/x", "1").owner(7, 8)) else { return };
    let (file, disk) = (lab.path("srv.tar"), lab.disk());
    let done = lab.json("tar-out", &["/srv", "-o", &file]);
    assert_eq!(done, json!({ "entries": 2, "bytes": 1, "sockets": 0 }));
    let listed = run(&["tar", "--numeric-owner", "-tvf", &file]).success().stdout;
    assert!(listed.contains("-rw-r--r-- 7/8"), "{listed}");
    let kiln = env!("CARGO_BIN_EXE_kiln");
    let home = lab.path("home");
    let piped = format!("KILN_HOME={home} {kiln} image tar-out {disk} /srv | cmp - {file}");
    drop(run(&["sh", "-c", &piped]).success());
    let out = lab.image("tar-out", &["/srv", "--json"]);
    assert_eq!(out.code, 2, "{}", out.stderr);
    // On a terminal of its own.
    if need_program("script") {
        let command = format!("KILN_HOME={home} {kiln} image tar-out {disk} /srv");
        let out = run(&["script", "-qec", &command, "/dev/null"]);
        assert_eq!(out.code, 2, "{out:?}");
        assert!(out.stdout.contains("an archive is not for a terminal"), "{out:?}");
    }
    let out = lab.image("tar-out", &["/etc/hostname", "-o", &lab.path("no.tar")]);
    assert_eq!((out.code, fs::exists(lab.path("no.tar")).expect("looked")), (4, false));
}

#[test]
fn two_images_are_compared() {
    let Some(old) = Lab::debian() else { return };
    let files = Files::debian().file("etc/hostname", "trixie!!\n").file("srv/new", "x");
    let Some(new) = Lab::with(files.without("etc/debian_version")) else { return };
    let (old, new_disk) = (&old, new.disk());
    let out = old.image("diff", &[&new_disk, "/etc"]);
    assert_eq!(out.code, 1, "{}", out.stderr);
    let lines: Vec<&str> = out.stdout.lines().collect();
    let expected =
        ["- /etc/debian_version (file, 0644, 0:0, 5 bytes)", "~ /etc/hostname (contents)"];
    assert_eq!(lines, expected);
    let same = old.image("diff", &[&old.disk()]).success();
    assert_eq!(same.stdout, "");
    // Where a new link leads is said.
    let Some(linked) = Lab::with(Files::debian().link("etc/to", "/srv/x")) else { return };
    let out = old.image("diff", &[&linked.disk(), "/etc"]);
    assert_eq!((out.code, out.stdout.as_str()), (1, "+ /etc/to (symlink, 0777, 0:0, -> /srv/x)\n"));
}
