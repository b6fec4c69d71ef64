// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whole disks for tests: sfdisk makes the partition table, mke2fs and mkfs.vfat what is in them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kiln_disk::image::{DiskImage, Mode, OpenOptions};
use kiln_guest::guest::{Guest, GuestError, Options, Wanted};
use kiln_testkit::{Files, need_program, run};

use crate::support::NOW;

/// What fills a partition.
pub(crate) enum Fill {
    /// Files, and options for mke2fs.
    Ext(Files, &'static [&'static str]),
    /// FAT with this label, and files with their contents.
    Vfat(&'static str, &'static [(&'static str, &'static str)]),
    /// What a program makes of the file that it gets as its last argument.
    Made(&'static [&'static str]),
    Nothing,
}

/// One partition: sfdisk's words for it, MiB, what fills it.
pub(crate) struct Part(pub(crate) &'static str, pub(crate) u64, pub(crate) Fill);

/// A disk image in a folder of its own.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Makes a disk with a partition table of sfdisk's kind `label`; `None` if programs are
    /// missing.
    pub(crate) fn new(label: &str, parts: &[Part]) -> Option<Self> {
        let tools = ["sfdisk", "mke2fs", "debugfs", "mkfs.vfat", "mcopy", "mkfs.xfs", "qemu-img"];
        if !tools.into_iter().all(need_program) {
            return None;
        }
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let mut script = format!("label: {label}\nlabel-id: {}\n", id(label));
        let mut at = 1;
        for Part(words, size, _) in parts {
            script.push_str(&format!("start={at}MiB, {words}, size={size}MiB\n"));
            // A logical partition has a sector of its own before it.
            at += size + 1;
        }
        let path = disk.raw();
        File::create_new(&path).unwrap().set_len((at + 1) << 20).unwrap();
        let (path, written) = (path.display().to_string(), disk.folder.path().join("script"));
        fs::write(&written, script).unwrap();
        let command = format!("sfdisk -q {path} < {}", written.display());
        drop(run(&["sh", "-c", &command]).success());
        let mut at = 1;
        for Part(_, size, fill) in parts {
            disk.fill(at, *size, fill);
            at += size + 1;
        }
        Some(disk)
    }

    fn fill(&self, at: u64, size: u64, fill: &Fill) {
        let image = self.folder.path().join("part");
        let name = image.display().to_string();
        match fill {
            Fill::Nothing => return,
            Fill::Ext(files, options) => files.ext(&image, &format!("{size}M"), options),
            Fill::Vfat(label, files) => {
                let blocks = (size << 10).to_string();
                drop(run(&["mkfs.vfat", "-n", label, "-C", &name, &blocks]).success());
                for (path, contents) in *files {
                    fs::write(self.folder.path().join("contents"), contents).unwrap();
                    let from = self.folder.path().join("contents").display().to_string();
                    for (end, _) in path.match_indices('/') {
                        let folder = format!("::{}", &path[..end]);
                        drop(run(&["mmd", "-D", "s", "-i", &name, &folder]));
                    }
                    drop(run(&["mcopy", "-i", &name, &from, &format!("::{path}")]).success());
                }
            }
            Fill::Made(command) => {
                File::create_new(&image).unwrap().set_len(size << 20).unwrap();
                drop(run(&[*command, &[&name]].concat()).success());
            }
        }
        self.put(&image, at << 20);
        fs::remove_file(&image).unwrap();
    }

    /// Copies a file's data into the disk.
    fn put(&self, from: &Path, at: u64) {
        let (from, to) = (from.display(), self.raw().display().to_string());
        let command =
            format!("dd if={from} of={to} bs=1M seek={} conv=notrunc,sparse status=none", at >> 20);
        drop(run(&["sh", "-c", &command]).success());
    }

    pub(crate) fn raw(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    /// Returns the disk as a compressed qcow2 image.
    pub(crate) fn qcow2(&self) -> PathBuf {
        let path = self.folder.path().join("disk.qcow2");
        let [from, to] = [self.raw(), path.clone()].map(|p| p.display().to_string());
        drop(run(&["qemu-img", "convert", "-c", "-O", "qcow2", &from, &to]).success());
        path
    }

    /// Returns a copy of the partition that begins at a MiB, `size` MiB long.
    pub(crate) fn part(&self, at: u64, size: u64) -> String {
        let mut bytes = vec![0; usize::try_from(size << 20).unwrap()];
        File::open(self.raw()).unwrap().read_exact_at(&mut bytes, at << 20).unwrap();
        let path = self.folder.path().join(format!("part-{at}"));
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

fn id(label: &str) -> &'static str {
    if label == "gpt" { "11111111-2222-3333-4444-555555555555" } else { "0x1234abcd" }
}

/// Opens the guest on an image.
pub(crate) fn open(path: &Path, mode: Mode) -> Result<Guest, GuestError> {
    open_root(path, mode, None)
}

pub(crate) fn open_root(path: &Path, mode: Mode, root: Option<usize>) -> Result<Guest, GuestError> {
    let image = DiskImage::open(path, &OpenOptions { mode, ..OpenOptions::default() }).unwrap();
    let root = root.map(Wanted::System);
    Guest::open(image, &Options { change: mode != Mode::Read, root, now: NOW })
}
