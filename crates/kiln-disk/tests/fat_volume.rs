// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FAT changed in place, against a model, and as others see it: fsck.vfat (dosfstools), mtools.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use kiln_disk::device::RawFile;
use kiln_disk::fs::ext::{Access, Attrs, Kind, Time};
use kiln_disk::fs::fat::{FatError, FatFs, FatKind, Node};
use kiln_testkit::{Rng, need_program, run};

const NOW: i64 = 1_700_000_000;

fn attrs() -> Attrs {
    Attrs { mode: 0o644, uid: 0, gid: 0, mtime: Time { seconds: NOW - 100, nanos: 0 } }
}

/// Makes a file system of 2 (FAT12), 9 (FAT16) or 36 MiB (FAT32) with small clusters.
fn made(path: &Path, bits: &str) {
    let kib = match bits {
        "12" => "2000",
        "16" => "9000",
        _ => "36000",
    };
    let path = path.to_str().unwrap();
    let per_cluster = if bits == "12" { "2" } else { "1" };
    let args = ["-F", bits, "-s", per_cluster, "-n", "KILN", "-i", "1a2b3c4d", "-C", path, kib];
    let _ = run(&[&["mkfs.vfat"][..], &args].concat()).success();
}

fn open(path: &Path, write: bool) -> FatFs {
    let file = File::options().read(true).write(write).open(path).unwrap();
    let access = if write { Access::Write { now: NOW } } else { Access::Read };
    FatFs::open(Box::new(RawFile::new(file).unwrap()), access).unwrap()
}

/// Checks the file system as dosfstools do: they say what is wrong on standard output.
fn check(path: &Path) {
    let out = run(&["fsck.vfat", "-n", "-v", path.to_str().unwrap()]);
    let wrong = out.stdout.contains("differ")
        || out.stdout.contains("wrong")
        || out.stdout.contains("Dirty bit");
    assert!(out.code == 0 && !wrong, "{}{}", out.stdout, out.stderr);
}

/// All paths with contents; directories have none and end in `/`.
fn tree(fs: &mut FatFs) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut todo = vec![(String::new(), Node::ROOT)];
    while let Some((above, dir)) = todo.pop() {
        for listed in fs.list(dir).unwrap() {
            let path = format!("{above}/{}", listed.name);
            if listed.kind == Kind::Directory {
                all.insert(path.clone(), None);
                todo.push((path, listed.node));
            } else {
                all.insert(path, Some(fs.read_file(listed.node, 1 << 24).unwrap()));
            }
        }
    }
    all
}

/// A file system beside a map that says what must be in it.
struct Model {
    fs: FatFs,
    all: BTreeMap<String, Option<Vec<u8>>>,
    rng: Rng,
}

const NAMES: [&str; 18] = [
    "a",
    "B.TXT",
    "grub.cfg",
    "BOOTX64.EFI",
    "a long name with spaces",
    "x.y.z",
    "\u{fc}ml\u{e4}ut",
    "loader",
    "vmlinuz-6.1.0-18-amd64",
    "vmlinuz-6.1.0-19-amd64",
    "vmlinuz-6.1.0-20-amd64",
    "EFI",
    "+,;=[]",
    "\u{65e5}\u{672c}\u{8a9e}",
    "\u{1f600}",
    ".hidden",
    "NAME~1",
    "name~1.txt",
];

impl Model {
    fn dirs(&self) -> Vec<String> {
        let dirs = self.all.iter().filter(|(_, bytes)| bytes.is_none());
        std::iter::once(String::new()).chain(dirs.map(|(path, _)| path.clone())).collect()
    }

    fn place(&mut self) -> (String, String, Node) {
        let dirs = self.dirs();
        let dir = self.rng.pick(&dirs).clone();
        let name = match self.rng.below(4) {
            0 => format!("file-number-{}.conf", self.rng.below(60)),
            1 => format!("F{}", self.rng.below(30)),
            _ => (*self.rng.pick(&NAMES)).to_owned(),
        };
        let node = self.fs.lookup(dir.as_bytes()).unwrap().unwrap();
        (dir, name, node)
    }

    /// The path in the model that FAT takes for this one.
    fn same(&self, path: &str) -> Option<String> {
        let folded = |path: &str| path.to_uppercase();
        self.all.keys().find(|key| folded(key) == folded(path)).cloned()
    }

    fn is_full(&self, path: &str) -> bool {
        self.all.keys().any(|key| key.starts_with(&format!("{path}/")))
    }

    fn step(&mut self) {
        match self.rng.below(10) {
            0..=4 => self.write(),
            5 | 6 => self.mkdir(),
            7 => self.remove(),
            _ => self.rename(),
        }
    }

    fn write(&mut self) {
        let (dir, name, node) = self.place();
        let len = *self.rng.pick(&[0, 1, 511, 512, 513, 5000, 70_000]);
        let bytes = self.rng.bytes(len);
        let done = self.fs.write_file(node, name.as_bytes(), &mut bytes.as_slice(), &attrs());
        let path = format!("{dir}/{name}");
        match (self.same(&path), done) {
            (Some(old), Err(FatError::IsADirectory { .. })) => assert_eq!(self.all[&old], None),
            (Some(old), Ok(_)) => {
                assert!(self.all.insert(old, Some(bytes)).unwrap().is_some());
            }
            (None, Ok(_)) => {
                self.all.insert(path, Some(bytes));
            }
            // The root of FAT12 and FAT16 has 512 entries.
            (None, Err(FatError::DirectoryFull { .. })) => assert_eq!(dir, ""),
            (old, Err(FatError::NoClusters)) => {
                if let Some(old) = old {
                    self.all.insert(old, Some(Vec::new()));
                } else {
                    self.all.insert(path, Some(Vec::new()));
                }
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    fn mkdir(&mut self) {
        let (dir, name, node) = self.place();
        let path = format!("{dir}/{name}");
        match (self.same(&path), self.fs.mkdir(node, name.as_bytes(), &attrs())) {
            (Some(_), Err(FatError::Exists { .. })) => (),
            (None, Ok(_)) => {
                self.all.insert(path, None);
            }
            (None, Err(FatError::NoClusters | FatError::DirectoryFull { .. })) => (),
            other => panic!("{path}: {other:?}"),
        }
    }

    fn any(&mut self) -> Option<String> {
        let keys: Vec<String> = self.all.keys().cloned().collect();
        (!keys.is_empty()).then(|| self.rng.pick(&keys).clone())
    }

    fn split(&mut self, path: &str) -> (Node, Vec<u8>) {
        let (dir, name) = path.rsplit_once('/').unwrap();
        (self.fs.lookup(dir.as_bytes()).unwrap().unwrap(), name.as_bytes().to_vec())
    }

    fn remove(&mut self) {
        let Some(path) = self.any() else { return };
        let (parent, name) = self.split(&path);
        if self.all[&path].is_some() {
            assert!(matches!(self.fs.rmdir(parent, &name), Err(FatError::NotADirectory { .. })));
            self.fs.unlink(parent, &name.to_ascii_uppercase()).unwrap();
        } else if self.is_full(&path) {
            assert!(matches!(self.fs.rmdir(parent, &name), Err(FatError::NotEmpty { .. })));
            return;
        } else {
            assert!(matches!(self.fs.unlink(parent, &name), Err(FatError::IsADirectory { .. })));
            self.fs.rmdir(parent, &name).unwrap();
        }
        self.all.remove(&path);
    }

    fn rename(&mut self) {
        let Some(from) = self.any() else { return };
        let (parent, name) = self.split(&from);
        let (dir, new, node) = self.place();
        let to = format!("{dir}/{new}");
        let done = self.fs.rename((parent, &name), (node, new.as_bytes()));
        if dir == from || dir.starts_with(&format!("{from}/")) {
            assert!(matches!(done, Err(FatError::IntoItself { .. })), "{from} to {to}: {done:?}");
            return;
        }
        let old = self.same(&to).filter(|old| *old != from);
        if let Some(old) = &old {
            match (self.all[&from].is_none(), self.all[old].is_none(), &done) {
                (true, false, Err(FatError::NotADirectory { .. }))
                | (false, true, Err(FatError::IsADirectory { .. })) => return,
                (true, true, Err(FatError::NotEmpty { .. })) if self.is_full(old) => return,
                (true, true, Ok(())) | (false, false, Ok(())) => (),
                other => panic!("{from} to {to}: {other:?}"),
            }
            self.all.remove(old);
        } else if let Err(FatError::DirectoryFull { .. } | FatError::NoClusters) = done {
            return;
        }
        done.unwrap();
        let inside = format!("{from}/");
        let moved: Vec<String> = self
            .all
            .keys()
            .filter(|key| **key == from || key.starts_with(&inside))
            .cloned()
            .collect();
        for key in moved {
            let value = self.all.remove(&key).unwrap();
            self.all.insert(format!("{to}{}", &key[from.len()..]), value);
        }
    }
}

fn random_sequences(bits: &str, seeds: std::ops::Range<u64>) {
    if !need_program("mkfs.vfat") || !need_program("mcopy") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for seed in seeds {
        let path = folder.path().join(format!("{seed}.img"));
        made(&path, bits);
        let mut model = Model { fs: open(&path, true), all: BTreeMap::new(), rng: Rng::new(seed) };
        for part in 0..3 {
            (0..20).for_each(|_| model.step());
            let free = model.fs.usage().unwrap().free;
            model.fs.close().unwrap();
            check(&path);
            let mut fs = open(&path, false);
            assert_eq!(fs.usage().unwrap().free, free);
            let found = tree(&mut fs);
            assert!(found == model.all, "seed {seed}: {:?} {:?}", found.keys(), model.all.keys());
            model =
                Model { fs: open(&path, true), all: model.all, rng: Rng::new(seed ^ part << 32) };
        }
        let out = folder.path().join(format!("{seed}.d"));
        std::fs::create_dir(&out).unwrap();
        if !model.all.is_empty() {
            let args = ["-s", "-n", "-i", path.to_str().unwrap(), "::*", out.to_str().unwrap()];
            let _ = run(&[&["mcopy"][..], &args].concat()).success();
        }
        // mtools write names as the locale has them; files of plain names are enough.
        for (path, bytes) in model.all.iter().filter(|(path, _)| path.is_ascii()) {
            if let Some(bytes) = bytes {
                assert!(std::fs::read(out.join(&path[1..])).unwrap() == *bytes, "{path}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn random_sequences_leave_fat12_as_the_model_says() {
    random_sequences("12", 0..34);
}

#[test]
fn random_sequences_leave_fat16_as_the_model_says() {
    random_sequences("16", 100..133);
}

#[test]
fn random_sequences_leave_fat32_as_the_model_says() {
    random_sequences("32", 200..233);
}

#[test]
fn what_others_wrote_is_read() {
    if !need_program("mkfs.vfat") || !need_program("mcopy") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("A file with a Long Name.txt");
    std::fs::write(&source, b"contents").unwrap();
    for (bits, kind) in [("12", FatKind::Fat12), ("16", FatKind::Fat16), ("32", FatKind::Fat32)] {
        let path = folder.path().join(bits);
        made(&path, bits);
        let image = path.to_str().unwrap();
        let _ = run(&["mmd", "-i", image, "::EFI", "::EFI/Boot"]).success();
        let _ = run(&["mcopy", "-i", image, source.to_str().unwrap(), "::EFI/Boot/"]).success();
        let _ = run(&["mcopy", "-i", image, source.to_str().unwrap(), "::lower.txt"]).success();
        let _ = run(&["mattrib", "-i", image, "+r", "::lower.txt"]).success();
        let mut fs = open(&path, true);
        let info = fs.info().unwrap();
        assert_eq!((info.kind, info.label.as_deref()), (kind, Some("KILN")));
        assert_eq!((info.uuid().as_str(), info.dirty), ("1A2B-3C4D", false));
        let node = fs.lookup(b"/efi/BOOT/a FILE with a long name.TXT").unwrap().unwrap();
        assert_eq!(fs.read_file(node, 100).unwrap(), b"contents");
        let mut part = [0; 4];
        assert_eq!(fs.read_at(node, 5, &mut part).unwrap(), 3);
        assert_eq!(&part, b"nts\0");
        let short = fs.lookup(b"EFI/BOOT/AFILEW~1.TXT").unwrap();
        assert_eq!(short, Some(node));
        let root: Vec<String> = fs.list(Node::ROOT).unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(root, ["EFI", "lower.txt"]);
        let lower = fs.lookup(b"lower.txt").unwrap().unwrap();
        assert_eq!(fs.stat(lower).unwrap().attrs.mode, 0o555);
        // Changing one thing leaves the rest, and the time is the caller's.
        fs.write_file(Node::ROOT, b"LOWER.TXT", &mut &b"new"[..], &attrs()).unwrap();
        let stat = fs.stat(lower).unwrap();
        assert_eq!((stat.attrs.mode, stat.attrs.mtime.seconds), (0o755, NOW - 100));
        fs.close().unwrap();
        check(&path);
        let listed = run(&["mdir", "-i", image, "::"]).success().stdout;
        assert!(listed.contains("2023-11-14  22:11"), "{listed}");
        assert_eq!(run(&["mtype", "-i", image, "::lower.txt"]).success().stdout, "new");
    }
}

#[test]
fn a_file_system_that_is_full_says_so_and_stays_whole() {
    if !need_program("mkfs.vfat") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    made(&path, "12");
    let mut fs = open(&path, true);
    let big = vec![7; 3 << 20];
    let error = fs.write_file(Node::ROOT, b"BIG", &mut big.as_slice(), &attrs()).unwrap_err();
    assert!(matches!(error, FatError::NoClusters), "{error}");
    let left = usize::try_from(fs.usage().unwrap().free.0).unwrap();
    fs.write_file(Node::ROOT, b"FITS", &mut &big[..left], &attrs()).unwrap();
    assert_eq!(fs.usage().unwrap().free.0, 0);
    let error = fs.mkdir(Node::ROOT, b"dir", &attrs()).unwrap_err();
    assert!(matches!(error, FatError::NoClusters), "{error}");
    // 512 entries: the label, `BIG`, `FITS` and these.
    for n in 0..509 {
        fs.write_file(Node::ROOT, format!("E{n}").as_bytes(), &mut &b""[..], &attrs()).unwrap();
    }
    let error = fs.write_file(Node::ROOT, b"more", &mut &b""[..], &attrs()).unwrap_err();
    assert!(matches!(error, FatError::DirectoryFull { .. }), "{error}");
    fs.close().unwrap();
    check(&path);
}

#[test]
fn many_files_with_names_alike_are_quick() {
    if !need_program("mkfs.vfat") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many");
    made(&path, "32");
    let mut fs = open(&path, true);
    let dir = fs.mkdir(Node::ROOT, b"many", &attrs()).unwrap();
    for n in 0..8000 {
        let name = format!("a name that is like the others {n}.conf");
        fs.write_file(dir, name.as_bytes(), &mut &b"x"[..], &attrs()).unwrap();
    }
    fs.close().unwrap();
    check(&path);
    assert_eq!(open(&path, false).lookup(b"many").unwrap().map(|_| ()), Some(()));
}
