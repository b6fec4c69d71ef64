// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder with the tree of a small system in it, and the program with a home of its own.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::PathBuf;

use kiln_testkit::{Output, need_program, run, run_with};
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// Makes the tree of a small Debian with a kernel and signed loaders, none of them real, and
    /// with all that a tree can have. `None` if a program is missing.
    pub(crate) fn new() -> Option<Self> {
        let tools = ["tar", "zstd", "mke2fs", "e2fsck", "debugfs", "qemu-img", "sfdisk"];
        if !tools.into_iter().all(need_program) {
            return None;
        }
        let lab = Self { folder: tempfile::tempdir().expect("a folder") };
        lab.file("usr/bin/dash", &fs::read("/bin/sh").expect("this machine's shell"));
        symlink("dash", lab.tree("usr/bin/sh")).expect("a link");
        symlink("usr/bin", lab.tree("bin")).expect("a link");
        let os = b"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
        lab.file("usr/lib/os-release", os);
        lab.file("boot/vmlinuz-6.1.0-9-amd64", b"old kernel");
        lab.file("boot/vmlinuz-6.1.0-10-amd64", b"kernel");
        lab.file("boot/initrd.img-6.1.0-10-amd64", b"initrd");
        lab.file("usr/lib/shim/shimx64.efi.signed", b"shim");
        lab.file("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", b"grub");
        lab.file("etc/ssh/ssh_host_rsa_key", b"secret");
        lab.file("etc/hosts", b"127.0.0.1 localhost\n127.0.1.1 old\n");
        lab.file("proc/1/status", b"not of the tree");
        lab.file("tmp/big", &vec![1; 1 << 20]);
        lab.file("srv/data", &(0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
        fs::hard_link(lab.tree("srv/data"), lab.tree("srv/same")).expect("a link");
        lab.file("srv/set-uid", b"x");
        let mode = fs::Permissions::from_mode(0o4711);
        fs::set_permissions(lab.tree("srv/set-uid"), mode).expect("permissions");
        let sparse = File::create(lab.tree("srv/sparse")).expect("a file");
        sparse.write_all_at(b"end", 64 << 20).expect("written");
        rustix::fs::mkfifoat(rustix::fs::CWD, lab.tree("srv/fifo"), 0o600.into()).expect("a pipe");
        Some(lab)
    }

    pub(crate) fn tree(&self, path: &str) -> PathBuf {
        self.folder.path().join("tree").join(path)
    }

    pub(crate) fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.tree(path);
        fs::create_dir_all(path.parent().expect("not the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    /// Returns the path of a file beside the tree.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `kiln`.
    pub(crate) fn kiln(&self, args: &[&str]) -> Output {
        let all = [&[env!("CARGO_BIN_EXE_kiln")], args].concat();
        run_with(&all, &[("KILN_HOME", &self.path("home"))])
    }

    /// Runs `kiln bundle VERB`.
    pub(crate) fn bundle(&self, args: &[&str]) -> Output {
        self.kiln(&[&["bundle"], args].concat())
    }

    /// Runs `kiln bundle VERB --json`, which must succeed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.bundle(&[args, &["--json"]].concat()).success();
        serde_json::from_str(&out.stdout).expect("JSON")
    }

    /// Makes the bundle `t.tar.zst` of the tree, and returns its path.
    pub(crate) fn packed(&self) -> String {
        let (tree, bundle) = (self.path("tree/"), self.path("t.tar.zst"));
        let _ = self.bundle(&["create", &tree, "-o", &bundle]).success();
        bundle
    }

    /// Returns what lies beside the tree and the program's home, sorted.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("text"));
        let mut names: Vec<_> = names.filter(|n| n != "tree" && n != "home").collect();
        names.sort();
        names
    }
}

/// Returns where the last partition of a raw disk begins, in bytes.
pub(crate) fn root_of(raw: &str) -> u64 {
    let table = run(&["sfdisk", "--json", raw]).success().stdout;
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
    partitions.last().and_then(|p| p["start"].as_u64()).expect("a start") * 512
}

/// Returns what debugfs prints for a command on the root file system of a raw disk.
pub(crate) fn debugfs(raw: &str, command: &str) -> String {
    let image = format!("{raw}?offset={}", root_of(raw));
    run(&["debugfs", "-R", command, &image]).success().stdout
}
