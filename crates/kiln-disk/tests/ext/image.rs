// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file system in a file, and the tools that judge it.

use std::fs::File;
use std::path::{Path, PathBuf};

use kiln_disk::device::RawFile;
use kiln_disk::fs::ext::{Access, ExtError, ExtFs, Kind, Node};
use kiln_testkit::{need_program, run};

pub(crate) const NOW: i64 = 1_700_000_000;

/// A file system made by `mke2fs` with these options, 48 MiB.
pub(crate) struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    pub(crate) fn new(options: &[&str]) -> Self {
        Self::sized(48 << 20, options)
    }

    pub(crate) fn sized(size: u64, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let image = Self { folder };
        let path = image.path();
        File::create_new(&path).expect("a file").set_len(size).expect("a sparse file");
        let argv = [&["mke2fs", "-q", "-F"][..], options, &[text(&path)]].concat();
        let _ = run(&argv).success();
        image
    }

    /// Returns a copy of the file at `path`.
    pub(crate) fn copy_of(path: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let image = Self { folder };
        let _ = run(&["cp", "--sparse=always", text(path), text(&image.path())]).success();
        image
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("fs.raw")
    }

    pub(crate) fn try_open(&self, access: Access) -> Result<ExtFs, ExtError> {
        let file = File::options().read(true).write(true).open(self.path()).expect("the image");
        ExtFs::open(Box::new(RawFile::new(file).expect("a device")), access)
    }

    pub(crate) fn open(&self, access: Access) -> ExtFs {
        self.try_open(access).expect("it opens")
    }

    pub(crate) fn edit(&self) -> ExtFs {
        self.open(Access::Write { now: NOW })
    }

    #[track_caller]
    pub(crate) fn check(&self) {
        self.check_as("");
    }

    #[track_caller]
    pub(crate) fn check_as(&self, what: &str) {
        let out = run(&["e2fsck", "-fn", text(&self.path())]);
        assert_eq!(out.code, 0, "{what}: {}{}", out.stdout, out.stderr);
    }

    pub(crate) fn debugfs(&self, command: &str) -> String {
        run(&["debugfs", "-R", command, text(&self.path())]).success().stdout
    }
}

pub(crate) fn tools() -> bool {
    ["mke2fs", "e2fsck", "debugfs"].into_iter().all(need_program)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is text")
}

/// Returns what every path of a tree is: kind, attributes, links, size, device, contents or
/// target, extended attributes.
pub(crate) fn tree(fs: &mut ExtFs) -> Vec<String> {
    let mut all = Vec::new();
    let mut todo = vec![(String::new(), Node::ROOT)];
    while let Some((path, node)) = todo.pop() {
        let stat = fs.stat(node).expect("it is there");
        let mut xattrs = fs.xattrs(node).expect("its attributes");
        xattrs.sort();
        let contents = match stat.kind {
            Kind::File => fs.read_file(node, 1 << 30).expect("its contents"),
            Kind::Symlink => fs.read_link(node).expect("its target"),
            _ => Vec::new(),
        };
        let sum =
            contents.iter().fold(0_u64, |sum, &b| sum.wrapping_mul(31).wrapping_add(b.into()));
        let size = if stat.kind == Kind::Directory { 0 } else { stat.size };
        all.push(format!(
            "/{path} {:?} {:?} {} {size} {:?} {sum} {xattrs:?}",
            stat.kind, stat.attrs, stat.links, stat.device
        ));
        if stat.kind == Kind::Directory {
            for entry in fs.list(node).expect("its names") {
                let name = String::from_utf8_lossy(&entry.name).into_owned();
                todo.push((format!("{path}/{name}"), entry.node));
            }
        }
    }
    all.sort();
    all
}
