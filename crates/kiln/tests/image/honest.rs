// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is not done is said: a signal in the middle, a result that nobody gets, an image that
//! others use, a path that is nowhere.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Command, Stdio};

use kiln_testkit::{need, need_program, need_root, run};

use crate::support::Lab;

/// Begins the program under test.
fn begin(lab: &Lab, args: &[&str], stdin: Stdio, stdout: Stdio) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the program is stopped in the middle")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.args(args).env("KILN_HOME", lab.path("home"));
    command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_signal_ends_a_change_and_nothing_is_changed() {
    let Some(lab) = Lab::debian() else { return };
    let before = fs::read(lab.disk()).unwrap();
    let (folder, tar) = (lab.path("many"), lab.path("many.tar"));
    fs::create_dir(&folder).unwrap();
    for number in 0..200 {
        fs::write(format!("{folder}/{number}"), [7; 5000]).unwrap();
    }
    drop(run(&["tar", "-C", &folder, "-cf", &tar, "."]).success());
    let archive = fs::read(&tar).unwrap();
    let (disk, half) = (lab.disk(), archive.len() / 2);
    let args = ["image", "tar-in", &disk, "-", "-C", "/etc"];
    let mut child = begin(&lab, &args, Stdio::piped(), Stdio::null());
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: a part of it has been read when the signal comes.
    stdin.write_all(&archive[..half]).unwrap();
    drop(run(&["kill", "-INT", &child.id().to_string()]).success());
    // It may have ended by now.
    drop(stdin.write_all(&archive[half..]));
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(
        (out.status.code(), text.contains("stopped by a signal")),
        (Some(130), true),
        "{text}"
    );
    assert!(fs::read(lab.disk()).unwrap() == before, "nothing is changed");
}

#[test]
fn a_result_that_is_not_written_is_an_error() {
    let Some(lab) = Lab::debian() else { return };
    for verb in [&["df"][..], &["df", "--json"], &["ls"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let disk = lab.disk();
        let args = [&["image", verb[0], &disk], &verb[1..]].concat();
        let out = begin(&lab, &args, Stdio::null(), full.into()).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(5), "{text}");
        assert!(text.contains("could not write the result"), "{text}");
    }
}

#[test]
fn contents_that_are_not_written_are_the_same_error() {
    let Some(lab) = Lab::debian() else { return };
    let full = File::options().write(true).open("/dev/full").unwrap();
    let args = ["image", "cat", &lab.disk(), "/etc/hostname"];
    let out = begin(&lab, &args, Stdio::null(), full.into()).wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(5), "{}", String::from_utf8_lossy(&out.stderr));
}

/// A password that nobody knows would lock its user out.
#[test]
fn a_password_that_cannot_be_told_is_not_set() {
    let Some(lab) = Lab::debian() else { return };
    let before = lab.bytes();
    for more in [&[][..], &["--json"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let disk = lab.disk();
        let args = [&["image", "customize", &disk, "--root-password", "random"], more].concat();
        let out = begin(&lab, &args, Stdio::null(), full.into()).wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(5), "{text}");
        assert!(text.contains("the image was not changed"), "{text}");
        assert!(lab.bytes() == before);
    }
}

#[test]
fn a_folder_that_is_not_there_is_the_same_error_everywhere() {
    let Some(lab) = Lab::debian() else { return };
    let to = lab.path("no/such");
    for args in [
        &["tar-out", "/etc", "-o", &to][..],
        &["copy-out", "/etc", "-C", &to],
        &["convert", &to],
        &["customize", "--touch", "/etc/x", "-o", &to],
        &["resize", "80M", "-o", &to],
        &["seal", "-o", &to],
    ] {
        let out = lab.image(args[0], &args[1..]);
        assert_eq!(out.code, 4, "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(&to) && !out.stderr.contains(".kiln-"), "{}", out.stderr);
    }
}

#[test]
fn a_copy_that_is_refused_is_called_what_its_user_calls_it() {
    let Some(lab) = Lab::debian() else { return };
    let (vmdk, to) = (lab.path("disk.vmdk"), lab.path("new.vmdk"));
    drop(run(&["qemu-img", "convert", "-O", "vmdk", &lab.disk(), &vmdk]).success());
    let out = lab.kiln(&["image", "resize", &vmdk, "80M", "-o", &to]);
    assert_eq!(out.code, 2, "{}", out.stderr);
    assert!(out.stderr.contains(&vmdk) && !out.stderr.contains(".kiln-"), "{}", out.stderr);
}

#[test]
fn a_path_of_neither_image_is_an_error() {
    let Some(lab) = Lab::debian() else { return };
    let disk = lab.disk();
    let out = lab.kiln(&["image", "diff", &disk, &disk, "/nowhere"]);
    assert_eq!((out.code, out.stderr.contains("`/nowhere`")), (4, true), "{out:?}");
}

#[test]
fn what_another_program_uses_is_not_replaced() {
    if !need_program("qemu-nbd") {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    let (target, socket, pid) = (lab.path("a.qcow2"), lab.path("nbd"), lab.path("nbd.pid"));
    drop(lab.image("convert", &[&target]).success());
    let nbd = ["qemu-nbd", "--fork", "-k", &socket, "--pid-file", &pid, "-f", "qcow2", &target];
    drop(run(&nbd).success());
    let before = fs::read(&target).unwrap();
    let out = lab.image("convert", &[&target, "--force"]);
    drop(run(&["kill", fs::read_to_string(&pid).unwrap().trim()]));
    assert_eq!((out.code, out.stderr.contains("is in use by process")), (4, true), "{out:?}");
    assert!(fs::read(&target).unwrap() == before);
    // It may be its own source.
    let out = lab.kiln(&["image", "convert", &lab.disk(), &lab.disk(), "--force", "-O", "qcow2"]);
    drop(out.success());
}

#[test]
fn what_a_loop_device_uses_is_not_changed() {
    let root = need_root("a loop device");
    if !root || !need_program("losetup") {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    let raw = lab.path("disk.raw");
    drop(lab.image("convert", &[&raw, "-O", "raw"]).success());
    let made = run(&["losetup", "--find", "--show", &raw]);
    if !need(made.code == 0, "loop devices") {
        return;
    }
    let device = made.stdout.trim();
    let out = lab.kiln(&["image", "customize", &raw, "--hostname", "none"]);
    let read = lab.kiln(&["image", "cat", &raw, "/etc/hostname"]);
    drop(run(&["losetup", "--detach", device]).success());
    let named = format!("is in use by the loop device `{device}`");
    assert_eq!((out.code, out.stderr.contains(&named)), (4, true), "{out:?}");
    assert!(read.success().stderr.contains("may change while it is read"));
}

#[test]
fn what_helps_is_said() {
    let Some(lab) = Lab::debian() else { return };
    let large = lab.path("large");
    fs::write(&large, vec![7; 60 << 20]).unwrap();
    let out = lab.image("copy-in", &[&large, "-C", "/home"]);
    assert_eq!(out.code, 3, "{}", out.stderr);
    let said = "60 MiB are to be copied in all";
    let hint = "`kiln image resize IMAGE +60M` is enough for it";
    assert!(out.stderr.contains(said) && out.stderr.contains(hint), "{}", out.stderr);
    let over = lab.path("over.qcow2");
    let made = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &lab.disk(), &over];
    drop(run(&made).success());
    for verb in ["ls", "check"] {
        let out = lab.kiln(&["image", verb, &over]);
        let hint = "hint: if you trust it, `--follow-backing` reads that, too";
        assert!(out.stderr.contains(hint) || verb == "check" && out.code <= 1, "{}", out.stderr);
    }
}

/// The size that is named works, and the one before it was too small.
#[test]
fn how_small_a_disk_can_be_is_said() {
    if !["resize2fs", "e2fsck"].into_iter().all(need_program) {
        return;
    }
    let Some(lab) = Lab::debian() else { return };
    for size in ["5M", "12M"] {
        let out = lab.image("resize", &[size, "--shrink"]);
        assert_eq!(out.code, 2, "{}", out.stderr);
        let least = out.stderr.split("can have is about ").nth(1).unwrap().trim();
        drop(lab.image("resize", &[least, "--shrink", "--dry-run"]).success());
    }
}

/// What is wrong with a backing file is wrong with a file, not with a tool.
#[test]
fn a_circle_of_backing_files_is_a_wrong_file() {
    let Some(lab) = Lab::debian() else { return };
    let (one, other) = (lab.path("one.qcow2"), lab.path("other.qcow2"));
    for (image, below) in [(&one, &other), (&other, &one)] {
        let made = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below];
        drop(run(&[&made[..], &[image, "1G"]].concat()).success());
    }
    for verb in ["ls", "inspect", "check"] {
        let out = lab.kiln(&["image", verb, &one, "--follow-backing"]);
        let said = format!("`{one}` is its own backing file");
        assert_eq!((out.code, out.stderr.contains(&said)), (3, true), "{verb}: {out:?}");
    }
}
