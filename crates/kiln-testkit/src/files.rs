// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small file systems with a guest's files in them, made by mke2fs and debugfs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::run;

#[derive(Clone, Debug)]
enum What {
    Dir,
    File(Vec<u8>),
    Link(String),
}

#[derive(Clone, Debug)]
struct Made {
    what: What,
    mode: u32,
    owner: (u32, u32),
    xattrs: Vec<(String, String)>,
}

/// Files to be put into a file system. Parents are made; all belong to root unless
/// [`Files::owner`] says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Files {
    made: BTreeMap<String, Made>,
    last: String,
}

impl Files {
    /// Returns no files at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the least that is taken for a Debian: `/etc` with os-release, passwd, shadow,
    /// group, hostname and fstab, `/bin/sh` for amd64, some empty directories.
    #[must_use]
    pub fn debian() -> Self {
        let mut elf = vec![0; 4096];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 62;
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                      daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
                      debian:x:1000:1000:Debian,,,:/home/debian:/bin/bash\n";
        let shadow = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n\
                      debian:!:19000:0:99999:7:::\n";
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
                       VERSION_ID=\"12\"\nID=debian\n";
        Self::new()
            .file("usr/lib/os-release", release)
            .link("etc/os-release", "../usr/lib/os-release")
            .file("etc/debian_version", "12.5\n")
            .file("etc/hostname", "bookworm\n")
            .file("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tbookworm\n")
            .file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
            .file("etc/passwd", passwd)
            .file("etc/group", "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nsudo:x:27:\ndebian:x:1000:\n")
            .file("etc/shadow", shadow)
            .mode(0o640)
            .owner(0, 42)
            .file("etc/gshadow", "root:*::\ndaemon:*::\nsudo:*::\ndebian:!::\n")
            .mode(0o640)
            .owner(0, 42)
            .file("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")
            .file("usr/bin/dash", &elf)
            .mode(0o755)
            .link("usr/bin/sh", "dash")
            .link("bin", "usr/bin")
            .link("sbin", "usr/sbin")
            .dir("usr/sbin")
            .dir("home/debian")
            .mode(0o700)
            .owner(1000, 1000)
            .dir("root")
            .mode(0o700)
            .dir("tmp")
            .mode(0o1777)
            .dir("var/log")
            .dir("boot")
    }

    /// Adds a directory with mode 0755.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.add(path, What::Dir, 0o755)
    }

    /// Adds a file with mode 0644.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.add(path, What::File(bytes.as_ref().to_vec()), 0o644)
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.add(path, What::Link(target.to_owned()), 0o777)
    }

    /// Sets the permissions of what was added last.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.last().mode = mode;
        self
    }

    /// Sets user and group of what was added last.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.last().owner = (uid, gid);
        self
    }

    /// Gives what was added last an extended attribute: a full name, `user.x`.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: &str) -> Self {
        self.last().xattrs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a path, and all below it, out again.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        let below = format!("{path}/");
        self.made.retain(|name, _| name != path && !name.starts_with(&below));
        self
    }

    fn last(&mut self) -> &mut Made {
        self.made.get_mut(&self.last).expect("something was added before")
    }

    fn add(mut self, path: &str, what: What, mode: u32) -> Self {
        for (at, _) in path.match_indices('/') {
            self.made.entry(path[..at].to_owned()).or_insert(Made {
                what: What::Dir,
                mode: 0o755,
                owner: (0, 0),
                xattrs: Vec::new(),
            });
        }
        let made = Made { what, mode, owner: (0, 0), xattrs: Vec::new() };
        self.made.insert(path.to_owned(), made);
        path.clone_into(&mut self.last);
        self
    }

    /// Writes the files into a folder of the host, which must exist. Owners and extended
    /// attributes are left out.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    pub fn unpack(&self, folder: &Path) {
        for (path, made) in &self.made {
            let path = folder.join(path);
            match &made.what {
                What::Dir => fs::create_dir(&path).expect("a new folder"),
                What::File(bytes) => fs::write(&path, bytes).expect("a new file"),
                What::Link(target) => symlink(target, &path).expect("a new link"),
            }
        }
        for (path, made) in self.made.iter().rev() {
            if !matches!(made.what, What::Link(_)) {
                // Whoever runs the tests must be able to read them.
                let mode = fs::Permissions::from_mode(made.mode | 0o600);
                fs::set_permissions(folder.join(path), mode).expect("permissions");
            }
        }
    }

    /// Makes an ext file system in the new file `image`. `options` go to mke2fs: `-t ext4` if
    /// there are none. `size` is as mke2fs takes it: `16M`.
    ///
    /// # Panics
    ///
    /// If mke2fs or debugfs fails. Ask [`crate::need_program`] for both first.
    pub fn ext(&self, image: &Path, size: &str, options: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).expect("a new folder");
        self.unpack(&tree);
        let (image, tree) = (image.display().to_string(), tree.display().to_string());
        let options = if options.is_empty() { &["-t", "ext4"] } else { options };
        let head = ["mke2fs", "-q", "-F", "-d", &tree];
        drop(run(&[&head[..], options, &[&image, size]].concat()).success());
        let script = folder.path().join("script");
        fs::write(&script, self.script()).expect("a new file");
        let out = run(&["debugfs", "-w", "-f", &script.display().to_string(), &image]).success();
        let complaints = out.stderr.lines().filter(|line| !line.starts_with("debugfs "));
        assert_eq!(complaints.collect::<Vec<_>>(), [""; 0], "debugfs: {}", out.stdout);
    }

    /// Returns what debugfs has to do so that owners and permissions are as asked for.
    fn script(&self) -> String {
        let mut script = String::new();
        let mut set = |path: &str, field: &str, value: &str| {
            writeln!(script, "sif \"/{path}\" {field} {value}").expect("text");
        };
        for field in ["uid", "gid"] {
            set("", field, "0");
        }
        set("", "mode", "040755");
        for (path, made) in &self.made {
            let kind = match made.what {
                What::Dir => 0o040_000,
                What::File(_) => 0o100_000,
                What::Link(_) => 0o120_000,
            };
            set(path, "mode", &format!("0{:o}", kind | made.mode));
            set(path, "uid", &made.owner.0.to_string());
            set(path, "gid", &made.owner.1.to_string());
        }
        for (path, made) in &self.made {
            for (name, value) in &made.xattrs {
                writeln!(script, "ea_set \"/{path}\" {name} \"{value}\"").expect("text");
            }
        }
        script
    }
}
