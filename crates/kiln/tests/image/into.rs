// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image edit`, `copy-in`, `tar-in`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiln_testkit::{Files, need_program, run, run_with};

use crate::support::Lab;

#[test]
fn files_are_edited_with_an_expression() {
    let files = Files::debian().file("etc/default/grub", "A=1\nGRUB_TIMEOUT=5\n").owner(3, 4);
    let Some(lab) = Lab::with(files) else { return };
    let before = lab.bytes();
    let expression = ["/etc/default/grub", "-e", "s/^(GRUB_TIMEOUT)=.*/$1=0/", "-e", "s/^A/B/"];
    let dry = lab.json("edit", &[&expression[..], &["--dry-run"]].concat());
    assert_eq!(dry["changes"][0]["path"], "/etc/default/grub");
    assert!(lab.bytes() == before, "a dry run");
    lab.json("edit", &expression);
    let seen = lab.image("cat", &["/etc/default/grub"]).success().stdout;
    assert_eq!(seen, "B=1\nGRUB_TIMEOUT=0\n");
    let listed = lab.json("ls", &["/etc/default/grub"]);
    assert_eq!(
        (&listed["entries"][0]["uid"], &listed["entries"][0]["gid"]),
        (&3.into(), &4.into())
    );
    let before = lab.bytes();
    let out = lab.image("edit", &["/etc/no", "-e", "s/a/b/"]);
    assert_eq!((out.code, out.stderr.contains("`/etc/no` is not in the guest")), (4, true));
    let out = lab.image("edit", &["/etc/hostname", "-e", "system('id')"]);
    assert_eq!(out.code, 2, "{}", out.stderr);
    assert!(lab.bytes() == before, "edits that failed");
}

#[test]
fn files_are_edited_in_an_editor() {
    if !need_program("sensible-editor") {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    let editor = lab.path("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i s/bookworm/trixie/ \"$1\"\n").expect("written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("set");
    let kiln = env!("CARGO_BIN_EXE_kiln");
    let (home, disk) = (lab.path("home"), lab.disk());
    let edit = |editor: &str| {
        let args = [kiln, "image", "edit", &disk, "/etc/hostname"];
        run_with(&args, &[("KILN_HOME", &home), ("EDITOR", editor), ("VISUAL", editor)])
    };
    drop(edit(&editor).success());
    assert_eq!(lab.image("cat", &["/etc/hostname"]).success().stdout, "trixie\n");
    let before = lab.bytes();
    assert_eq!(edit("false").code, 6);
    drop(edit("true").success());
    assert!(lab.bytes() == before, "an editor that failed, and one that changed nothing");
}

/// What only the guest's root may read is read by nobody else of the host either.
#[test]
fn what_is_in_the_editor_is_ones_own_and_goes_with_a_kill() {
    if !need_program("sensible-editor") {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    let editor = lab.path("editor");
    let look = "#!/bin/sh\nstat -c %a \"$1\" \"$(dirname \"$1\")\" > \"$0.new\"\n\
                echo \"$1\" >> \"$0.new\"\necho $$ >> \"$0.new\"\nmv \"$0.new\" \"$0.seen\"\nexec sleep 600\n";
    fs::write(&editor, look).expect("written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("set");
    #[expect(clippy::disallowed_methods, reason = "the program under test is killed")]
    let mut kiln = Command::new(env!("CARGO_BIN_EXE_kiln"));
    kiln.args(["image", "edit", &lab.disk(), "/etc/hostname"])
        .env("KILN_HOME", lab.path("home"))
        .env("VISUAL", &editor)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut kiln = kiln.spawn().expect("it starts");
    let (since, seen) = (Instant::now(), lab.path("editor.seen"));
    while !Path::new(&seen).exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "the editor never began");
        std::thread::yield_now();
    }
    kiln.kill().expect("killed");
    kiln.wait().expect("gone");
    let seen = fs::read_to_string(seen).expect("what the editor saw");
    let seen: Vec<&str> = seen.lines().collect();
    // It is a child of `sensible-editor`, and outlives that.
    drop(run(&["kill", seen[3]]));
    assert_eq!(seen[..2], ["600", "700"]);
    let copy = Path::new(seen[2]);
    assert!(copy.exists() && copy.starts_with(lab.path("home")), "{seen:?}");
    drop(lab.image("ls", &["/"]).success());
    assert!(!copy.exists() && !copy.parent().expect("its folder").exists());
}

#[test]
fn files_are_copied_in_all_or_none() {
    let Some(lab) = Lab::debian() else { return };
    let tree = lab.path("site");
    fs::create_dir_all(format!("{tree}/sub")).expect("made");
    fs::write(format!("{tree}/sub/index.html"), "hello\n").expect("written");
    symlink("/etc/passwd", format!("{tree}/link")).expect("linked");
    let note = lab.path("note");
    fs::write(&note, "note\n").expect("written");
    let before = lab.bytes();
    let missing = lab.path("missing");
    let out = lab.image("copy-in", &[&tree, &missing, "-C", "/home"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    let out = lab.image("copy-in", &[&note, "-C", "/nowhere"]);
    assert_eq!(out.code, 4, "{}", out.stderr);
    assert!(lab.bytes() == before, "copies that failed");
    drop(lab.image("copy-in", &[&tree, &note, "-C", "/home"]).success());
    assert_eq!(lab.image("cat", &["/home/site/sub/index.html"]).success().stdout, "hello\n");
    assert_eq!(lab.image("cat", &["/home/note"]).success().stdout, "note\n");
    let listed = lab.json("ls", &["/home/site"]);
    assert_eq!(listed["entries"][0]["target"], "/etc/passwd");
    let out = lab.image("copy-in", &["a:b"]);
    assert_eq!((out.code, out.stderr.contains("has a colon in it")), (2, true));
}

#[test]
fn sockets_are_left_out_and_named() {
    let Some(lab) = Lab::debian() else { return };
    let tree = lab.path("tree");
    fs::create_dir(&tree).expect("made");
    fs::write(format!("{tree}/file"), "1").expect("written");
    let _socket = UnixListener::bind(format!("{tree}/socket")).expect("a socket");
    drop(run(&["mkfifo", &format!("{tree}/fifo")]).success());
    let out = lab.image("copy-in", &[&tree, "-C", "/home"]).success();
    let warning = format!("warning: `{tree}/socket` is a socket, and left out\n");
    assert!(out.stderr.contains(&warning), "{}", out.stderr);
    assert_eq!(lab.image("ls", &["/home/tree"]).success().stdout, "fifo\nfile\n");
    let json = lab.json("copy-in", &[&tree, "-C", "/home"]);
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(1), "{json}");
}

/// What is wrong with the files of the host is told before the image is looked for.
#[test]
fn files_of_the_host_are_looked_for_first() {
    let Some(lab) = Lab::debian() else { return };
    let (none, image) = (lab.path("none"), lab.path("no image"));
    for (option, argument, code) in [
        ("--upload", format!("{none}:/x"), 4),
        ("--copy-in", format!("{none}:/x"), 4),
        ("--run", none.clone(), 4),
        ("--firstboot", none.clone(), 4),
        ("--root-password", format!("file:{none}"), 4),
        ("--ssh-inject", format!("root:file:{none}"), 4),
        ("--commands-from-file", none.clone(), 4),
        ("--upload", format!("{}:/x", lab.path("")), 3),
    ] {
        for verb in ["customize", "seal"] {
            let out = lab.kiln(&["image", verb, &image, option, &argument]);
            assert_eq!(out.code, code, "{option}: {}", out.stderr);
            let named = out.stderr.contains(&none) || code == 3;
            assert!(named && !out.stderr.contains("no image"), "{option}: {}", out.stderr);
        }
    }
}

#[test]
fn archives_are_unpacked_whatever_packed_them() {
    let Some(lab) = Lab::debian() else { return };
    if !["tar", "gzip", "xz", "zstd", "bzip2"].into_iter().all(need_program) {
        return;
    }
    let tree = lab.path("tree");
    fs::create_dir_all(format!("{tree}/srv")).expect("made");
    fs::write(format!("{tree}/srv/file"), "packed\n").expect("written");
    for (name, option) in
        [("plain", ""), ("gzip", "-z"), ("xz", "-J"), ("zstd", "--zstd"), ("bzip2", "-j")]
    {
        let file = lab.path(name);
        let command = format!("tar {option} --owner=5 --group=6 -C {tree} -cf {file} srv");
        drop(run(&["sh", "-c", &command]).success());
        let to = format!("/home/{name}");
        let mkdir = format!("mkdir -p {tree}-{name}/{name}");
        drop(run(&["sh", "-c", &mkdir]).success());
        drop(lab.image("copy-in", &[&format!("{tree}-{name}/{name}"), "-C", "/home"]).success());
        drop(lab.image("tar-in", &[&file, "-C", &to]).success());
        let listed = lab.json("ls", &[&format!("{to}/srv/file")]);
        assert_eq!(
            (&listed["entries"][0]["uid"], &listed["entries"][0]["size"]),
            (&5.into(), &7.into())
        );
    }
    let note = lab.path("note");
    fs::write(&note, "no archive\n").expect("written");
    let out = lab.image("tar-in", &[&note, "-C", "/home"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(out.stderr.contains("the stream is no tar archive"), "{}", out.stderr);
    let kiln = env!("CARGO_BIN_EXE_kiln");
    let (home, disk, plain) = (lab.path("home"), lab.disk(), lab.path("plain"));
    let piped = format!("KILN_HOME={home} {kiln} image tar-in {disk} - < {plain}");
    drop(run(&["sh", "-c", &piped]).success());
    assert_eq!(lab.image("cat", &["/srv/file"]).success().stdout, "packed\n");
    drop(run(&["qemu-img", "check", &disk]).success());
    let before = lab.bytes();
    let evil = lab.path("evil");
    let make = format!("tar -P --transform 's,^,../../,' -C {tree} -cf {evil} srv/file");
    drop(run(&["sh", "-c", &make]).success());
    let out = lab.image("tar-in", &[&evil, "-C", "/home"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    assert!(lab.bytes() == before, "an archive that leads out");
}
