// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image seal` on a disk of a Debian that has run.

use std::fs;
use std::path::Path;

use kiln_testkit::{Files, run};
use serde_json::{Value, json};

use crate::support::Lab;

/// A Debian that has run.
fn used() -> Files {
    Files::debian()
        .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        .file("etc/ssh/ssh_host_ed25519_key", "secret")
        .file("home/ann/.ssh/authorized_keys", "ssh-ed25519 A\n")
        .file("root/.bash_history", "ls\n")
        .file("tmp/a/b", "1")
        .file("var/log/syslog", vec![b'x'; 9000])
}

/// Returns what `kiln image ls` shows below a folder.
fn below(lab: &Lab, folder: &str) -> Vec<String> {
    let out = lab.image("ls", &["-R", folder]);
    out.success().stdout.lines().map(String::from).collect()
}

fn operation<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["operations"].as_array().expect("operations");
    all.iter().find(|op| op["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn a_seal_removes_what_it_must_and_the_disk_stays_whole() {
    let Some(lab) = Lab::with(used()) else { return };
    let report = lab.json("seal", &[]);
    assert_eq!(report["dry_run"], false);
    let machine_id = json!([{
        "change": "written", "old_size": 33, "size": 0, "path": "/etc/machine-id",
    }]);
    assert_eq!(operation(&report, "machine-id")["changes"], machine_id);
    assert_eq!(operation(&report, "abrt-data")["changes"], json!([]));
    assert_eq!(lab.image("cat", &["/etc/machine-id"]).success().stdout, "");
    for folder in ["/etc/ssh", "/tmp", "/var/log"] {
        assert_eq!(below(&lab, folder), [""; 0], "{folder}");
    }
    drop(run(&["qemu-img", "check", "-q", &lab.disk()]).success());
    let raw = lab.path("raw");
    drop(run(&["qemu-img", "convert", "-O", "raw", &lab.disk(), &raw]).success());
    let ext = lab.path("ext");
    let (from, to) = (format!("if={raw}"), format!("of={ext}"));
    drop(run(&["dd", "status=none", "skip=18432", "count=98304", &from, &to]).success());
    drop(run(&["e2fsck", "-fn", &ext]).success());

    let again = lab.image("seal", &[]).success();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
}

#[test]
fn a_dry_run_shows_each_change_and_keeps_none() {
    let Some(lab) = Lab::with(used()) else { return };
    let before = lab.bytes();
    let list = ["--operations", "defaults,-logfiles", "--operations", "-package-manager-cache"];
    let out = lab.image("seal", &[&["--dry-run"][..], &list].concat()).success();
    assert_eq!(
        out.stdout,
        "bash-history: removed 1 (3 B)\n  remove /root/.bash_history\n\
         machine-id: emptied 1 (33 B)\n  empty /etc/machine-id (33 B)\n\
         ssh-hostkeys: removed 1 (6 B)\n  remove /etc/ssh/ssh_host_ed25519_key\n\
         ssh-userdir: removed 2 (14 B)\n  remove /home/ann/.ssh/\n\
         tmp-files: removed 2 (1 B)\n  remove /tmp/a/\n"
    );
    assert_eq!(out.stderr, "nothing was changed: this was a dry run\n");
    assert!(lab.bytes() == before);
}

#[test]
fn a_sealed_copy_leaves_the_image_as_it_was() {
    let Some(lab) = Lab::with(used()) else { return };
    let before = lab.bytes();
    let copy = lab.path("template.qcow2");
    drop(lab.image("seal", &["-o", &copy, "--enable", "machine-id"]).success());
    assert!(lab.bytes() == before);
    let id = |disk: &str| lab.kiln(&["image", "cat", disk, "/etc/machine-id"]).success().stdout;
    assert_eq!((id(&copy).len(), id(&lab.disk()).len()), (0, 33));
}

#[test]
fn accounts_are_removed_when_asked_for() {
    let Some(lab) = Lab::with(
        used()
            .file("etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"),
    ) else {
        return;
    };
    let keep = ["--operations", "user-account", "--keep-user-accounts", "bob,ann"];
    assert_eq!(lab.image("seal", &keep).success().stdout, "");
    let out = lab.image("seal", &["--operations", "user-account"]).success();
    assert_eq!(out.stdout, "user-account: removed 3, changed 1 (49 B)\n");
    let passwd = lab.image("cat", &["/etc/passwd"]).success().stdout;
    assert_eq!(passwd, "root:x:0:0::/root:/bin/sh\n");
}

#[test]
fn wrong_words_are_refused_before_anything_is_opened() {
    let Some(lab) = Lab::debian() else { return };
    for (args, code, error) in [
        (
            &["--operations", "defaults,ssh-hostkey"][..],
            2,
            "error: `ssh-hostkey` is no seal operation; did you mean `ssh-hostkeys`?\n\
             hint: `kiln image seal --list-operations` shows all\n",
        ),
        (&["--enable", "utmp,"], 2, "error: `--enable` has an empty name of an operation\n"),
        (
            &["--keep-user-accounts", "ann"],
            2,
            "error: `--keep-user-accounts` is for the operation `user-account`, which is not selected\n",
        ),
    ] {
        let out = lab.image("seal", args);
        assert_eq!((out.code, out.stderr.as_str()), (code, error));
    }
    let out = lab.image("seal", &["--script", "/bin/true"]);
    assert_eq!(out.code, 5);
    assert!(out.stderr.starts_with("error: `--script` runs a program of the host"));
    assert_eq!(lab.kiln(&["image", "seal"]).code, 2);
}

#[test]
fn the_operations_are_listed_and_documented() {
    let run = |args: &[&str]| {
        let all = [&[env!("CARGO_BIN_EXE_kiln"), "image", "seal"], args].concat();
        run(&all).success().stdout
    };
    let list = run(&["--list-operations"]);
    assert!(list.contains("\nmachine-id              * Empty the machine id\n"), "{list}");
    assert!(list.contains("\nfs-uuids                  Give file systems other UUIDs\n"), "{list}");
    let json: Value = serde_json::from_str(&run(&["--list-operations", "--json"])).expect("JSON");
    let all = json["operations"].as_array().expect("a list");
    assert_eq!(all.iter().filter(|op| op["origin"] == "virt-sysprep").count(), 45);
    assert_eq!(all.len(), list.lines().count());
    let help = run(&["--help"]);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/seal.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once("<!-- operations -->\n").expect("where they begin");
    let (kept, _) = rest.split_once("<!-- /operations -->").expect("where they end");
    assert!(kept == run(&["--list-operations=markdown"]), "docs/seal.md: run `make gen`");
    for op in all {
        let name = op["name"].as_str().expect("a name");
        assert!(help.lines().any(|line| line.trim_end_matches('*').trim() == name), "{name}");
    }
}

#[test]
fn file_systems_get_other_uuids_when_asked_for() {
    let Some(lab) = Lab::debian() else { return };
    let out = lab.image("seal", &["--enable", "fs-uuids,lvm-uuids"]).success();
    assert_eq!(out.stdout, "");
    let notes: Vec<_> = out.stderr.lines().collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("warning: fs-uuids: `sda1` (vfat) keeps its UUID"), "{notes:?}");
    // Whether it can be changed depends on what mke2fs takes for its defaults.
    assert!(notes[1].contains("`sda2`"), "{notes:?}");
    drop(lab.image("cat", &["/etc/hostname"]).success());
}

#[test]
fn edits_are_made_after_the_seal_and_only_with_customize() {
    let Some(lab) = Lab::with(used()) else { return };
    let edits = ["--hostname", "template", "--write", "/tmp/kept:1", "--root-password", "random"];
    let report = lab.json("seal", &edits);
    let names = report["operations"].as_array().expect("operations").iter().map(|op| &op["name"]);
    let tree: Vec<_> = names.filter(|name| *name != "fs-uuids" && *name != "lvm-uuids").collect();
    assert_eq!(tree.last(), Some(&&json!("customize")));
    assert_eq!(report["passwords"][0]["user"], "root");
    assert_eq!(below(&lab, "/tmp"), ["/tmp/kept"]);
    assert_eq!(lab.image("cat", &["/etc/hostname"]).success().stdout, "template\n");

    let out = lab.image("seal", &["--operations", "defaults,-customize", "--hostname", "x"]);
    let error = "error: `--hostname` is for the operation `customize`, which is not selected\n";
    assert_eq!((out.code, out.stderr.as_str()), (2, error));
    let before = lab.bytes();
    let out = lab.image("seal", &["--append-line", "/no/such/folder/x:y"]);
    assert_ne!(out.code, 0);
    assert!(lab.bytes() == before, "all or nothing");
}
