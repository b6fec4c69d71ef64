// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder with a small tree, an archive of it, and a cache of layers.

use std::fs;
use std::path::PathBuf;

use kiln_build::workspace::{LayerCache, Sandbox, Task};
use kiln_host::namespace::{Exec, remove_left};
use kiln_spec::Digest;
use kiln_testkit::{Files, need_program, run, variable};

/// The user without rights.
pub(crate) const USER: &str = "kiln-e2e";

/// Returns the program under test.
pub(crate) fn program() -> String {
    variable("KILN_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_kiln").to_owned())
}

/// Returns the files of a small system whose every program is BusyBox, with a kernel and signed
/// loaders, none of them real.
pub(crate) fn files() -> Files {
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut files = Files::debian()
        .without("usr/bin/dash")
        .without("usr/bin/sh")
        .file("usr/bin/busybox", busybox)
        .mode(0o755)
        .dir("etc/skel")
        .file("etc/os-release", "ID=debian\nPRETTY_NAME=\"Small\"\nVERSION_ID=\"12\"\n")
        .file("boot/vmlinuz-6.1.0-10-amd64", "kernel")
        .file("boot/initrd.img-6.1.0-10-amd64", "initrd")
        .file("usr/lib/shim/shimx64.efi.signed", "shim")
        .file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub")
        .file("usr/share/zoneinfo/Etc/UTC", "TZif2")
        .file("srv/old", "old\n")
        .file("srv/keep/a", "a\n");
    for name in [
        "sh", "cat", "ls", "id", "mkdir", "rm", "mv", "ln", "mknod", "mount", "sleep", "chown",
        "chmod", "dd", "test", "find", "grep", "touch", "cp", "env", "wc", "ip", "kill", "wget",
        "echo", "true", "false", "date", "unshare", "hostname", "seq", "head", "nc", "sed",
        "setsid",
    ] {
        files = files.link(&format!("usr/bin/{name}"), "busybox");
    }
    files
}

#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    /// Makes the archive; `None` if a program is missing.
    pub(crate) fn new() -> Option<Self> {
        if !["busybox", "tar", "mke2fs", "qemu-img"].into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir_in("/var/tmp").unwrap() };
        fs::create_dir(lab.path("tree")).unwrap();
        files().unpack(&lab.path("tree"));
        let (tree, tar) = (lab.text("tree"), lab.text("base.tar"));
        let how =
            ["--owner=0", "--group=0", "--numeric-owner", "--sort=name", "--mtime=@1000000000"];
        let words = [&["tar", "-C", &tree, "-cf", &tar][..], &how, &["."]].concat();
        drop(run(&words).success());
        Some(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Opens the cache.
    pub(crate) fn cache(&self) -> LayerCache {
        let sandbox = Sandbox {
            exec: Exec { program: program().into() },
            resolvers: b"nameserver 198.51.100.1\n".to_vec(),
            proxies: vec![(b"https_proxy".to_vec(), b"http://p".to_vec())],
        };
        LayerCache::open(&self.path("cache"), sandbox).unwrap()
    }
}

/// What belongs to the guest's ids only they can remove.
impl Drop for Lab {
    fn drop(&mut self) {
        let exec = Exec { program: program().into() };
        for name in ["cache", "home", "other", "busy"] {
            let (from, to) = (self.path(name), self.path(&format!("gone-{name}")));
            let moved = fs::create_dir(&to).and_then(|()| fs::rename(&from, to.join("run")));
            if moved.is_ok() {
                remove_left(&exec, &to).unwrap();
            }
        }
    }
}

/// Returns a digest with one digit only.
pub(crate) fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

/// Returns a task that runs lines with a shell.
pub(crate) fn shell(lines: &str) -> Task {
    Task::shell("lines", lines)
}
