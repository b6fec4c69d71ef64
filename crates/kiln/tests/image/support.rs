// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder with a disk in it, and the program with a home of its own.

use std::fs;
use std::path::{Path, PathBuf};

use kiln_testkit::{Files, Output, need_program, run, run_with};
use serde_json::Value;

/// A disk of a small Debian, and what a test does with it.
#[derive(Debug)]
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Makes a disk of a [`Files::debian`]: see [`Lab::with`].
    pub(crate) fn debian() -> Option<Self> {
        Self::with(Files::debian())
    }

    /// Makes `disk.qcow2` with a GPT: an EFI system partition labelled `ESP`, mounted on
    /// `/boot/efi`, and an ext4 root with `files`. `None` if the tools for that are missing.
    pub(crate) fn with(files: Files) -> Option<Self> {
        let tools = ["mke2fs", "debugfs", "mkfs.vfat", "mcopy", "sfdisk", "qemu-img", "dd"];
        if !tools.into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir().expect("a folder") };
        let (esp, root, raw) = (lab.path("esp"), lab.path("root"), lab.path("disk.raw"));
        let efi = lab.path("grub.cfg");
        fs::write(&efi, "set root=hd0\n").expect("written");
        drop(run(&["mkfs.vfat", "-C", "-n", "ESP", &esp, "8192"]).success());
        drop(run(&["mcopy", "-i", &esp, &efi, "::/GRUB.CFG"]).success());
        let files = files
            .file(
                "etc/fstab",
                "LABEL=ROOT / ext4 defaults 0 1\nLABEL=ESP /boot/efi vfat umask=0077 0 2\n",
            )
            .dir("boot/efi");
        files.ext(Path::new(&root), "48M", &["-t", "ext4", "-L", "ROOT"]);
        drop(run(&["truncate", "-s", "64M", &raw]).success());
        let table =
            "label: gpt\nstart=2048, size=16384, type=uefi\nstart=18432, size=98304, type=linux\n";
        fs::write(lab.path("table"), table).expect("written");
        let command = format!("sfdisk -q '{raw}' < '{}'", lab.path("table"));
        drop(run(&["sh", "-c", &command]).success());
        for (part, at) in [(&esp, 2048), (&root, 18432)] {
            let (from, to, seek) =
                (format!("if={part}"), format!("of={raw}"), format!("seek={at}"));
            drop(run(&["dd", "status=none", "conv=notrunc,sparse", &from, &to, &seek]).success());
        }
        let disk = lab.disk();
        drop(run(&["qemu-img", "convert", "-O", "qcow2", &raw, &disk]).success());
        fs::remove_file(raw).expect("removed");
        Some(lab)
    }

    /// Returns the path of a file of the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Returns the path of the disk.
    pub(crate) fn disk(&self) -> String {
        self.path("disk.qcow2")
    }

    /// Runs the program.
    pub(crate) fn kiln(&self, args: &[&str]) -> Output {
        let home: PathBuf = self.folder.path().join("home");
        let all = [&[env!("CARGO_BIN_EXE_kiln")], args].concat();
        run_with(&all, &[("KILN_HOME", &home.display().to_string())])
    }

    /// Runs `kiln image VERB` on the disk.
    pub(crate) fn image(&self, verb: &str, args: &[&str]) -> Output {
        self.kiln(&[&["image", verb, &self.disk()], args].concat())
    }

    /// Runs `kiln image VERB` on the disk with `--json`; it must succeed.
    pub(crate) fn json(&self, verb: &str, args: &[&str]) -> Value {
        let out = self.image(verb, &[args, &["--json"]].concat()).success();
        serde_json::from_str(&out.stdout).expect("JSON")
    }

    /// Returns the disk's bytes: what must not change.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.disk()).expect("the disk")
    }
}
