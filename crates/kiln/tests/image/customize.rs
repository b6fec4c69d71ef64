// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image customize`, the real program on real file systems.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_testkit::{Files, Output, need, need_program, run, run_with};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// A raw image with a guest, and a home of Kiln's own.
struct Guest {
    folder: tempfile::TempDir,
}

impl Guest {
    fn new(files: &Files) -> Option<Self> {
        if !["mke2fs", "debugfs", "e2fsck"].into_iter().all(need_program) {
            return None;
        }
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        files.ext(&folder.path().join("guest.raw"), "16M", &[]);
        Some(Self { folder })
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn image(&self) -> String {
        self.at("guest.raw")
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let all = [&[KILN, "image", "customize"], args].concat();
        let home = self.at("home");
        run_with(&all, &[("KILN_HOME", &home), ("HOME", &home), ("SSH_AUTH_SOCK", "")])
    }

    fn customize(&self, args: &[&str]) -> Output {
        let image = self.image();
        self.kiln(&[&[image.as_str()], args].concat())
    }

    #[track_caller]
    fn cat(&self, path: &str) -> String {
        let out = run(&["e2fsck", "-fn", &self.image()]);
        assert_eq!(out.code, 0, "{}", out.stdout);
        run(&["debugfs", "-R", &format!("cat {path}"), &self.image()]).success().stdout
    }
}

fn project() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn operations_are_done_in_their_order() {
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let out = guest.customize(&[
        "--write",
        "/etc/motd:one\n",
        "--append-line",
        "/etc/motd:two",
        "--copy",
        "/etc/motd:/etc/first",
        "--edit",
        "/etc/motd:s/one/ONE/",
        "--hostname",
        "web",
        "--delete",
        "/etc/first",
        "--copy",
        "/etc/motd:/etc/second",
    ]);
    assert_eq!(out.clone().success().stdout, "");
    assert_eq!(guest.cat("/etc/motd"), "ONE\ntwo\n");
    assert_eq!(guest.cat("/etc/second"), "ONE\ntwo\n");
    assert_eq!(guest.cat("/etc/hostname"), "web\n");
    assert_eq!(guest.cat("/etc/first"), "");
}

#[test]
fn a_failure_leaves_the_image_as_it_was() {
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let before = fs::read(guest.image()).unwrap();
    for (args, code, words) in [
        (&["--touch", "/etc/x", "--touch", "/no/where/x"][..], 4, "`touch /no/where/x`"),
        (&["--touch", "/x", "--timezone", "Mars/Base"], 3, "tzdata"),
        (&["--password", "nobody-here:random"], 4, "no user `nobody-here`"),
        (&["--touch", "relative"], 2, "no absolute path"),
        (&["--chmod", "644:/etc/hosts"], 2, "no leading 0"),
        (&["--upload", "/no/such/file:/etc"], 4, "cannot read `/no/such/file`"),
        (&["--inject-virtio-win", "/x"], 3, "for Windows guests"),
        (&[], 2, "nothing to do"),
    ] {
        let out = guest.customize(args);
        assert_eq!(out.code, code, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(words), "{args:?}: {}", out.stderr);
        assert!(fs::read(guest.image()).unwrap() == before, "{args:?}");
    }
    let left: Vec<_> = fs::read_dir(guest.folder.path()).unwrap().collect();
    assert!(left.len() <= 2, "{left:?}");
}

#[test]
fn a_dry_run_shows_and_keeps_nothing() {
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let before = fs::read(guest.image()).unwrap();
    let out =
        guest.customize(&["--dry-run", "--write", "/etc/motd:x", "--root-password", "random"]);
    let out = out.success();
    assert_eq!(
        out.stdout,
        "write /etc/motd:…: made 1\n  make /etc/motd (file)\n\
         root-password …: changed 1\n  change /etc/shadow (82 B to 199 B)\n"
    );
    assert!(fs::read(guest.image()).unwrap() == before);
}

#[test]
fn a_copy_is_changed_and_the_image_is_not() {
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let before = fs::read(guest.image()).unwrap();
    let copy = guest.at("copy.raw");
    drop(guest.customize(&["-o", &copy, "--touch", "/etc/new"]).success());
    assert!(fs::read(guest.image()).unwrap() == before);
    let listed = run(&["debugfs", "-R", "ls /etc", &copy]).success().stdout;
    assert!(listed.contains("new"), "{listed}");
    assert_eq!(guest.customize(&["-o", &copy, "--touch", "/etc/new"]).code, 4);
}

#[test]
fn random_passwords_are_shown_once_and_fit() {
    if !need_program("python3") {
        return;
    }
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let out = guest.customize(&["--json", "-v", "--root-password", "random"]).success();
    let result: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let password = result["passwords"][0]["password"].as_str().unwrap();
    assert_eq!(password.len(), 16);
    assert!(!out.stderr.contains(password));
    let shadow = guest.cat("/etc/shadow");
    let hash = shadow.split(':').nth(1).unwrap();
    let script = "import crypt, sys; print(crypt.crypt(sys.argv[1], sys.argv[2]) == sys.argv[2])";
    let checked = run(&["python3", "-W", "ignore", "-c", script, password, hash]).success();
    assert_eq!(checked.stdout, "True\n");
    let out = guest.customize(&["--root-password", "random"]).success();
    assert!(out.stdout.starts_with("the password of `root` is "), "{}", out.stdout);
}

#[test]
fn files_of_operations_name_their_lines() {
    let Some(guest) = Guest::new(&Files::debian()) else { return };
    let file = guest.at("commands");
    fs::write(&file, "# first\nwrite /etc/a:\\\nb\n\nhostname web\n").unwrap();
    drop(guest.customize(&["--commands-from-file", &file]).success());
    assert_eq!(guest.cat("/etc/a"), "\nb");
    fs::write(&file, "hostname web\nhostnam web\n").unwrap();
    let out = guest.customize(&["--commands-from-file", &file]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("line 2 of"), "{}", out.stderr);
    assert!(out.stderr.contains("is it `hostname`?"), "{}", out.stderr);
}

#[test]
fn the_example_does_what_it_says() {
    let files = Files::debian()
        .file("usr/share/zoneinfo/Europe/Berlin", "TZif2")
        .dir("etc/systemd/system")
        .dir("srv");
    let Some(guest) = Guest::new(&files) else { return };
    let example = project().join("examples/web.commands").display().to_string();
    drop(guest.customize(&["--commands-from-file", &example]).success());
    assert_eq!(guest.cat("/etc/hostname"), "web.example.org\n");
    assert!(guest.cat("/etc/passwd").contains("deploy:x:1001:1001::/home/deploy:"));
}

#[test]
fn programs_of_the_guest_run_and_fail() {
    let met = need_program("busybox") && need(Path::new("/dev/fuse").exists(), "/dev/fuse");
    if !met {
        return;
    }
    let busybox = fs::read("/bin/busybox").unwrap();
    let files = Files::debian()
        .without("usr/bin/dash")
        .without("usr/bin/sh")
        .file("usr/bin/busybox", busybox)
        .mode(0o755)
        .link("usr/bin/sh", "busybox")
        .link("usr/bin/cat", "busybox");
    let Some(guest) = Guest::new(&files) else { return };
    let script = guest.at("script");
    fs::write(&script, "#!/bin/sh\ncat /etc/hostname > /etc/said\n").unwrap();
    let lines = ["--hostname", "web", "--run", &script, "--run-command", "echo two >> /etc/said"];
    drop(guest.customize(&lines).success());
    assert_eq!(guest.cat("/etc/said"), "web\ntwo\n");
    let before = fs::read(guest.image()).unwrap();
    let out = guest.customize(&["--touch", "/etc/x", "--run-command", "echo oh no; exit 7"]);
    assert_eq!(out.code, 7, "{}", out.stderr);
    assert!(out.stderr.contains("status 7") && out.stderr.contains("oh no"), "{}", out.stderr);
    assert!(fs::read(guest.image()).unwrap() == before);
    let logs: Vec<_> = fs::read_dir(guest.folder.path().join("home/logs")).unwrap().collect();
    assert_eq!(logs.len(), 2);
}

#[test]
fn the_chapter_has_all_operations() {
    let guest = Guest { folder: tempfile::tempdir().unwrap() };
    let markdown = guest.kiln(&["--list-operations=markdown"]).success().stdout;
    let chapter = fs::read_to_string(project().join("docs/customize.md")).unwrap();
    let (_, rest) = chapter.split_once("<!-- operations -->\n").unwrap();
    let (kept, _) = rest.split_once("<!-- /operations -->").unwrap();
    assert!(kept == markdown, "docs/customize.md: run `make gen`");
}

#[test]
fn the_list_is_short_and_whole() {
    let guest = Guest { folder: tempfile::tempdir().unwrap() };
    let list = guest.kiln(&["--list-operations"]).success().stdout;
    assert_eq!(list.lines().count(), 45);
    let json = guest.kiln(&["--list-operations", "--json"]).success().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["operations"].as_array().unwrap().len(), 45);
}
