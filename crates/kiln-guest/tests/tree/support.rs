// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the tests of guests share.

use std::fs::File;
use std::path::PathBuf;

use kiln_disk::device::{Device, RawFile};
use kiln_guest::backend::direct::DirectTree;
use kiln_guest::tree::{Attrs, GuestPath, Time};
use kiln_testkit::{Files, need_program, run};

/// The time of all changes.
pub(crate) const NOW: Time = Time { seconds: 1_700_000_000, nanos: 0 };

/// An ext file system in a file of its own.
#[derive(Debug)]
pub(crate) struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    /// Makes it; `None` if the programs for that are missing.
    pub(crate) fn new(files: &Files, size: &str, options: &[&str]) -> Option<Self> {
        let tools = ["mke2fs", "debugfs", "e2fsck"];
        if !tools.into_iter().all(need_program) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        files.ext(&folder.path().join("fs.raw"), size, options);
        Some(Self { folder })
    }

    /// Makes a copy of one.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (self.path(), folder.path().join("fs.raw"));
        let [from, to] = [from, to].map(|path| path.display().to_string());
        drop(run(&["cp", "--sparse=always", &from, &to]).success());
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("fs.raw")
    }

    pub(crate) fn device(&self) -> Box<dyn Device> {
        let file = File::options().read(true).write(true).open(self.path()).unwrap();
        Box::new(RawFile::new(file).unwrap())
    }

    pub(crate) fn tree(&self) -> DirectTree {
        DirectTree::of_ext(self.device(), NOW).unwrap()
    }

    /// Lets e2fsck look for damage.
    #[track_caller]
    pub(crate) fn check(&self) {
        let out = run(&["e2fsck", "-fn", &self.path().display().to_string()]);
        assert_eq!(out.code, 0, "{}{}", out.stdout, out.stderr);
    }

    /// Returns what debugfs says to a command.
    #[track_caller]
    pub(crate) fn debugfs(&self, command: &str) -> String {
        run(&["debugfs", "-R", command, &self.path().display().to_string()]).success().stdout
    }
}

pub(crate) fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

pub(crate) fn attrs(mode: u32) -> Attrs {
    Attrs { mode, uid: 0, gid: 0, mtime: NOW }
}
