// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln image customize`, killed at any moment: the image is the old one or the new one, whole.
#![expect(clippy::unwrap_used, reason = "a failed test is to panic")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kiln_testkit::{need_program, run};

use crate::support::Lab;

/// How many moments, spread over the run and a little beyond.
const MOMENTS: u32 = 48;
/// How many at most, until enough runs were cut off.
const MOST_MOMENTS: u32 = 400;
/// Where the root begins: [`Lab`].
const ROOT: u64 = 18432 * 512;

/// What an image is after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Old,
    New,
}

/// One disk, in one format, with what it is to be afterwards.
struct Trial<'a> {
    lab: &'a Lab,
    format: &'a str,
    /// The disk as it was, and as an undisturbed run leaves it.
    old: String,
    new: String,
    /// A folder with the disk that is killed upon alone in it.
    folder: String,
}

impl Trial<'_> {
    fn image(&self) -> String {
        format!("{}/disk.{}", self.folder, self.format)
    }

    /// Begins the edit; some MiB, so that there is something to be cut off.
    fn customize(&self, image: &str) -> Child {
        let big = self.lab.path("big");
        #[expect(clippy::disallowed_methods, reason = "the program under test is killed")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command
            .args(["image", "customize", image, "--hostname", "changed"])
            .args(["--mkdir", "/srv/deep/er", "--write", "/boot/efi/grub.cfg:changed\n"])
            .args(["--copy-in", &format!("{big}:/srv"), "--delete", "/etc/motd"])
            .env("KILN_HOME", self.lab.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn renew(&self) {
        drop(fs::remove_dir_all(&self.folder));
        fs::create_dir(&self.folder).unwrap();
        drop(run(&["cp", "--sparse=always", &self.old, &self.image()]).success());
    }

    /// Kills a run after `moment`. Returns what the image is then, and whether the run was cut off.
    #[track_caller]
    fn kill(&self, moment: Duration) -> (Found, bool) {
        self.renew();
        let mut kiln = self.customize(&self.image());
        let end = Instant::now() + moment;
        while Instant::now() < end {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
        kiln.kill().unwrap();
        let cut = !kiln.wait().unwrap().success();
        if self.format == "qcow2" {
            // Whole at once: no further command has to finish it.
            drop(run(&["qemu-img", "check", "-f", "qcow2", &self.image()]).success());
        }
        // One further command on it. It finds nothing to mend.
        let out = self.lab.kiln(&["image", "check", "--repair", &self.image()]).success();
        assert!(out.stderr.contains("nothing to mend"), "{moment:?}: {out:?}");
        (self.look(moment), cut)
    }

    /// Looks what the image is, by other people's tools.
    #[track_caller]
    fn look(&self, moment: Duration) -> Found {
        let names: Vec<_> =
            fs::read_dir(&self.folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "{moment:?}: {names:?}");
        let raw = self.lab.path("killed.raw");
        let args = ["convert", "-f", self.format, "-O", "raw", &self.image(), &raw];
        drop(run(&[&["qemu-img"], &args[..]].concat()).success());
        let out = run(&["e2fsck", "-fn", &format!("{raw}?offset={ROOT}")]);
        assert_eq!(out.code, 0, "{moment:?}: {}", out.stdout);
        if run(&["cmp", "-s", &raw, &self.lab.path("old.raw")]).code == 0 {
            return Found::Old;
        }
        // Times differ from run to run; the trees are the same.
        let out = self.lab.kiln(&["image", "diff", &self.new, &self.image()]);
        assert_eq!((out.code, out.stdout.as_str()), (0, ""), "{moment:?}: {out:?}");
        Found::New
    }
}

/// Kills runs on the lab's disk in `format` at all moments.
fn killed_at_any_moment(format: &str) {
    let Some(lab) = Lab::debian() else { return };
    if !["e2fsck", "cmp"].into_iter().all(need_program) {
        return;
    }
    let bytes: Vec<u8> = (0..6_000_000_u32).flat_map(|n| n.to_le_bytes()).step_by(4).collect();
    fs::write(lab.path("big"), bytes).unwrap();
    let convert = |to: &str, format: &str| {
        let args = ["convert", "-f", "qcow2", "-O", format, &lab.disk(), to];
        drop(run(&[&["qemu-img"], &args[..]].concat()).success());
    };
    let (old, new) = (lab.path("old"), lab.path("new"));
    convert(&old, format);
    convert(&lab.path("old.raw"), "raw");
    let trial = Trial { lab: &lab, format, old, new, folder: lab.path("killed") };
    // An undisturbed run, for the time that it takes and for what comes of it.
    trial.renew();
    let began = Instant::now();
    assert!(trial.customize(&trial.image()).wait().unwrap().success());
    let whole = began.elapsed();
    drop(run(&["cp", "--sparse=always", &trial.image(), &trial.new]).success());
    assert_eq!(trial.look(whole), Found::New);
    let (mut old, mut new, mut cut_off) = (0, 0, 0);
    for n in 0..MOST_MOMENTS {
        // How long a run takes is another matter on a busy machine: what counts is that enough of
        // them were cut off, and some before the end.
        if n >= MOMENTS && old > 5 && cut_off > 15 {
            break;
        }
        let share = (f64::from(n) * 0.618_034).fract();
        let (found, cut) = trial.kill(whole.mul_f64(share * 1.25));
        match found {
            Found::Old => old += 1,
            Found::New => new += 1,
        }
        cut_off += u32::from(cut);
    }
    assert!(old > 5 && cut_off > 15, "{old} old, {new} new, {cut_off} cut off");
    assert!(Path::new(&trial.image()).exists());
}

#[test]
fn a_qcow2_image_is_the_old_or_the_new_one_after_a_kill() {
    killed_at_any_moment("qcow2");
}

#[test]
fn a_raw_image_is_the_old_or_the_new_one_after_a_kill() {
    killed_at_any_moment("raw");
}

/// What a kill leaves of a copy that was being made goes with the next one.
#[test]
fn a_copy_that_a_kill_cut_off_is_removed_by_the_next() {
    let Some(lab) = Lab::debian() else { return };
    let folder = lab.path("out");
    fs::create_dir(&folder).unwrap();
    // An editor that never ends: the copy is made by then.
    fs::write(lab.path("editor"), "#!/bin/sh\ntouch \"$0.began\"\nexec sleep 600\n").unwrap();
    drop(run(&["chmod", "+x", &lab.path("editor")]).success());
    let copy = format!("{folder}/copy.qcow2");
    #[expect(clippy::disallowed_methods, reason = "the program under test is killed")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command
        .args(["image", "edit", &lab.disk(), "/etc/hostname", "-o", &copy])
        .env("KILN_HOME", lab.path("home"))
        .env("VISUAL", lab.path("editor"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut kiln = command.spawn().unwrap();
    let since = Instant::now();
    while !Path::new(&lab.path("editor.began")).exists() {
        assert!(since.elapsed() < Duration::from_secs(60), "the editor never began");
        std::thread::yield_now();
    }
    kiln.kill().unwrap();
    kiln.wait().unwrap();
    let names = || -> Vec<_> {
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert!(names()[0].to_string_lossy().starts_with(".kiln-copy-"), "{:?}", names());
    let edit = ["edit", &lab.disk(), "/etc/hostname", "-e", "s/bookworm/new/", "-o", &copy];
    drop(lab.kiln(&[&["image"], &edit[..]].concat()).success());
    assert_eq!(names(), ["copy.qcow2"]);
}

/// So does what a kill leaves of a copy that QEMU writes, whatever copy is the next.
#[test]
fn a_conversion_that_a_kill_cut_off_is_removed_by_the_next() {
    let Some(lab) = Lab::debian() else { return };
    let folder = lab.path("out");
    fs::create_dir(&folder).unwrap();
    let names = || -> Vec<String> {
        let names = fs::read_dir(&folder).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let big = lab.path("big.raw");
    fs::write(&big, (0..16_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the program under test is killed")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command
        .args(["image", "convert", "--format", "raw", &big, &format!("{folder}/big.vmdk")])
        .env("KILN_HOME", lab.path("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut kiln = command.spawn().unwrap();
    let (since, begun) = (Instant::now(), || {
        names().iter().any(|name| {
            name.starts_with(".kiln-copy-")
                && Path::new(&format!("{folder}/{name}/big.vmdk")).exists()
        })
    });
    while !begun() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::yield_now();
    }
    kiln.kill().unwrap();
    assert!(!kiln.wait().unwrap().success() && begun(), "{:?}", names());
    drop(lab.kiln(&["image", "convert", &lab.disk(), &format!("{folder}/copy.qcow2")]).success());
    assert_eq!(names(), ["copy.qcow2"]);
    // And what a kill left of a changed copy goes with a conversion of any kind.
    for name in ["again.vmdk", "again.raw"] {
        fs::write(format!("{folder}/.kiln-copy-dead"), "").unwrap();
        drop(lab.kiln(&["image", "convert", &lab.disk(), &format!("{folder}/{name}")]).success());
        assert!(!names().contains(&".kiln-copy-dead".to_owned()), "{name}: {:?}", names());
    }
}
