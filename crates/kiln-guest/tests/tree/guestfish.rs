// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Random edits, made here in process and by guestfish in an appliance: both leave the same tree.
//!
//! One appliance has all file systems, as partitions: each start takes half a minute without KVM,
//! and a second more for each disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kiln_guest::ops::{EditContext, Network, Plan, customize};
use kiln_guest::transfer::{DiffOptions, diff};
use kiln_guest::tree::{GuestPath, Tree};
use kiln_testkit::{Files, Rng, need_program, run, run_with, variable};

use crate::support::{Image, NOW, path};

/// How many sequences of edits there are, if `KILN_TEST_SEQUENCES` says nothing else.
const SEQUENCES: u64 = 60;
const EDITS: usize = 12;
/// Partitions of a disk: GPT has room for 128.
const PARTS: u64 = 100;
/// MiB of one.
const SIZE: u64 = 16;

const FEATURES: [&[&str]; 5] = [
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "1024", "-O", "inline_data"],
    &["-t", "ext4", "-b", "4096", "-O", "orphan_file,metadata_csum_seed"],
    &["-t", "ext3", "-b", "1024"],
    &["-t", "ext2", "-b", "4096"],
];

/// What one edit is for both.
enum Edit {
    /// An operation of `customize`, and guestfish's commands for the same.
    Operation(&'static str, String, Vec<Vec<String>>),
    /// One that no operation does, on the tree itself.
    Link(String, String, Vec<String>),
    Attribute(String, Vec<u8>, Vec<String>),
}

/// The names that are there: whether each is a directory, a file or something else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Dir,
    File,
    Other,
}

struct Play<'a> {
    rng: &'a mut Rng,
    names: BTreeMap<String, Sort>,
    local: &'a Path,
    count: usize,
}

impl Play<'_> {
    fn of(&mut self, sort: Sort) -> Option<String> {
        let all: Vec<_> = self.names.iter().filter(|(_, s)| **s == sort).map(|(n, _)| n).collect();
        (!all.is_empty()).then(|| (*self.rng.pick(&all)).clone())
    }

    /// Returns a name that is free, in a directory that is there.
    fn free(&mut self) -> String {
        let dir = self.of(Sort::Dir).unwrap();
        self.count += 1;
        let odd = *self.rng.pick(&["plain", "two words", "gr\u{fc}n", "quo\"te'", "$HOME", "-rf"]);
        format!("{}/{odd}{}", dir.trim_end_matches('/'), self.count)
    }

    fn bytes(&mut self) -> String {
        let len = *self.rng.pick(&[0, 40, 59, 61, 200, 3000, 70_000]);
        let start = self.rng.below(20);
        (0..len).map(|n| char::from(b'a' + u8::try_from((n + start) % 26).unwrap())).collect()
    }

    /// Returns a file of the host with these contents. They are what its name says: guestfish
    /// reads it at the end of all.
    fn file(&self, text: &str) -> String {
        let first = text.chars().next().unwrap_or_default();
        let local = self.local.join(format!("file-{}-{}", u32::from(first), text.len()));
        fs::write(&local, text).unwrap();
        fs::set_permissions(&local, fs::Permissions::from_mode(0o644)).unwrap();
        local.display().to_string()
    }

    /// Guestfish reads lines of 8 KiB.
    fn write(&self, name: &str, text: &str) -> Edit {
        let local = self.file(text);
        let long = text.len() > 4000;
        let command = if long { ["upload", &local, name] } else { ["write", name, text] };
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Edit::Operation("write", format!("{name}:{text}"), vec![command])
    }

    fn edit(&mut self) -> Option<Edit> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let one =
            |name, argument, all: &[&str]| Some(Edit::Operation(name, argument, vec![words(all)]));
        match self.rng.below(12) {
            0 => {
                let name = self.free();
                self.names.insert(name.clone(), Sort::Dir);
                one("mkdir", name.clone(), &["mkdir-p", &name])
            }
            1 | 2 => {
                let (name, text) = (self.free(), self.bytes());
                self.names.insert(name.clone(), Sort::File);
                Some(self.write(&name, &text))
            }
            3 => {
                let (name, text) = (self.of(Sort::File)?, self.bytes());
                Some(self.write(&name, &text))
            }
            4 => {
                let (name, text) = (self.free(), self.bytes());
                let local = self.file(&text);
                self.names.insert(name.clone(), Sort::File);
                let meta = fs::metadata(&local).unwrap();
                let [uid, gid] = [meta.uid(), meta.gid()].map(|id| id.to_string());
                let commands = [
                    vec!["upload", &local, &name],
                    vec!["chmod", "0644", &name],
                    vec!["chown", &uid, &gid, &name],
                ];
                let commands = commands.iter().map(|command| words(command)).collect();
                Some(Edit::Operation("upload", format!("{local}:{name}"), commands))
            }
            5 => {
                let sort = *self.rng.pick(&[Sort::Dir, Sort::File]);
                let name = self.of(sort)?;
                let mode = *self.rng.pick(&["0600", "0755", "0400", "02775", "04755", "01777"]);
                one("chmod", format!("{mode}:{name}"), &["chmod", mode, &name])
            }
            6 => {
                let sort = *self.rng.pick(&[Sort::Dir, Sort::File]);
                let name = self.of(sort)?;
                let id = self.rng.below(70_000).to_string();
                one("chown", format!("{id}:7:{name}"), &["chown", &id, "7", &name])
            }
            7 => {
                let (target, name) = (self.of(Sort::File)?, self.free());
                self.names.insert(name.clone(), Sort::Other);
                one("link", format!("{target}:{name}"), &["ln-sf", &target, &name])
            }
            8 => self.take(),
            9 => {
                let (file, name) = (self.of(Sort::File)?, self.free());
                self.names.insert(name.clone(), Sort::File);
                Some(Edit::Link(file.clone(), name.clone(), words(&["ln", &file, &name])))
            }
            10 => {
                let (file, value) = (self.of(Sort::File)?, self.bytes());
                let value = &value[..value.len().min(200)];
                let command = ["setxattr", "user.test", value, &value.len().to_string(), &file];
                Some(Edit::Attribute(file.clone(), value.as_bytes().to_owned(), words(&command)))
            }
            _ => {
                let name = self.free();
                self.names.insert(name.clone(), Sort::File);
                one("touch", name.clone(), &["touch", &name])
            }
        }
    }

    /// Moves, copies, empties or deletes something.
    fn take(&mut self) -> Option<Edit> {
        let words = |all: &[&str]| vec![all.iter().map(|word| (*word).to_owned()).collect()];
        let name = self.of(Sort::File)?;
        Some(match self.rng.below(4) {
            0 => {
                let new = self.free();
                self.names.remove(&name);
                self.names.insert(new.clone(), Sort::File);
                Edit::Operation("move", format!("{name}:{new}"), words(&["mv", &name, &new]))
            }
            1 => {
                let new = self.free();
                self.names.insert(new.clone(), Sort::File);
                Edit::Operation("copy", format!("{name}:{new}"), words(&["cp-a", &name, &new]))
            }
            2 => Edit::Operation("truncate", name.clone(), words(&["truncate", &name])),
            _ => {
                let sort = *self.rng.pick(&[Sort::Dir, Sort::File, Sort::Other]);
                let gone = self.of(sort)?;
                if gone == "/top" {
                    return None;
                }
                self.names
                    .retain(|name, _| *name != gone && !name.starts_with(&format!("{gone}/")));
                Edit::Operation("delete", gone.clone(), words(&["rm-rf", &gone]))
            }
        })
    }
}

/// Writes a word so that guestfish takes it as it is.
fn quoted(word: &str) -> String {
    let mut out = String::from("\"");
    for byte in word.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out + "\""
}

fn apply(tree: &mut dyn Tree, edit: &Edit, what: &str) {
    match edit {
        Edit::Operation(name, argument, _) => {
            let mut plan = Plan::default();
            plan.add(name, Some(argument)).unwrap();
            let ctx = EditContext {
                tree,
                now: NOW,
                random: &mut |_| Ok(()),
                keys: &[],
                runner: None,
                network: Network::None,
                progress: &mut |_| {},
            };
            customize(&plan, ctx)
                .unwrap_or_else(|e| panic!("{what}: {name} {argument}: {e}: {}", e.source));
        }
        Edit::Link(file, name, _) => tree.hard_link(&path(file), &path(name)).unwrap(),
        Edit::Attribute(file, value, _) => {
            tree.set_xattrs(&path(file), &vec![("user.test".to_owned(), value.clone())]).unwrap();
        }
    }
}

fn commands(edit: &Edit) -> Vec<&Vec<String>> {
    match edit {
        Edit::Operation(.., commands) => commands.iter().collect(),
        Edit::Link(.., command) | Edit::Attribute(.., command) => vec![command],
    }
}

#[test]
fn guestfish_makes_the_same_of_random_edits() {
    if !need_program("guestfish") || !need_program("sfdisk") {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let files = Files::debian().dir("top");
    let images: Option<Vec<_>> =
        FEATURES.iter().map(|options| Image::new(&files, "16M", options)).collect();
    let Some(empty) = images else { return };
    let mut images = Vec::new();
    let (mut disks, mut edits) = (Vec::new(), String::from("run\n"));
    let sequences = variable("KILN_TEST_SEQUENCES").map_or(SEQUENCES, |n| n.parse().unwrap());
    for seed in 0..sequences {
        let empty = &empty[usize::try_from(seed).unwrap() % FEATURES.len()];
        let image = empty.copy();
        let (disk, part) = (seed / PARTS, seed % PARTS);
        if part == 0 {
            disks.push(Disk::new(&folder.path().join(format!("disk-{disk}"))));
        }
        disks.last_mut().unwrap().put(part, &image.path());
        writeln!(edits, "mount /dev/disk/guestfs/{}{} /", label(disk), part + 1).unwrap();
        let mut rng = Rng::new(seed);
        let names = BTreeMap::from([("/top".to_owned(), Sort::Dir)]);
        let mut play = Play { rng: &mut rng, names, local: folder.path(), count: 0 };
        let mut tree = image.tree();
        let mut made = 0;
        while made < EDITS {
            let Some(edit) = play.edit() else { continue };
            made += 1;
            apply(&mut tree, &edit, &format!("sequence {seed}"));
            for command in commands(&edit) {
                let words: Vec<String> = command[1..].iter().map(|word| quoted(word)).collect();
                writeln!(edits, "{} {}", command[0], words.join(" ")).unwrap();
            }
        }
        tree.finish().unwrap();
        image.check();
        edits.push_str("umount /\n");
        images.push(image);
    }
    let script = folder.path().join("script");
    let drives = (0..).zip(&disks).map(|(number, disk): (u64, &Disk)| {
        let (path, label) = (disk.path.display(), label(number));
        format!("add-drive {path} format:raw label:{label} cachemode:unsafe\n")
    });
    fs::write(&script, drives.collect::<String>() + &edits).unwrap();
    let mut env = vec![("LIBGUESTFS_BACKEND", "direct")];
    if !fs::read_to_string("/proc/cpuinfo")
        .unwrap()
        .split_whitespace()
        .any(|f| f == "vmx" || f == "svm")
    {
        env.push(("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg"));
    }
    drop(run_with(&["guestfish", "-f", &script.display().to_string()], &env).success());
    for (seed, image) in images.iter().enumerate() {
        let number = u64::try_from(seed).unwrap();
        let theirs = image.copy();
        disks[usize::try_from(number / PARTS).unwrap()].take(number % PARTS, &theirs.path());
        let mut ours = image.tree();
        let mut other = theirs.tree();
        let top = GuestPath::new("/").unwrap();
        let differences = diff(&mut ours, &mut other, &top, DiffOptions::default()).unwrap();
        assert!(differences.is_empty(), "sequence {seed}: {differences:#?}");
    }
}

/// Returns what guestfish knows a disk by: its appliance does not always find them in their order.
fn label(disk: u64) -> String {
    format!("disk{}", char::from(b'a' + u8::try_from(disk).unwrap()))
}

/// A disk of many partitions.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(path: &Path) -> Self {
        let mut script = String::from("label: gpt\n");
        for part in 0..PARTS {
            writeln!(script, "start={}MiB, size={SIZE}MiB", at(part) >> 20).unwrap();
        }
        let table = path.with_extension("sfdisk");
        fs::write(&table, script).unwrap();
        File::create_new(path).unwrap().set_len(at(PARTS) + (1 << 20)).unwrap();
        let command = format!("sfdisk -q {} < {}", path.display(), table.display());
        drop(run(&["sh", "-c", &command]).success());
        Self { path: path.to_owned() }
    }

    /// Fills a partition with what a file holds.
    fn put(&mut self, part: u64, from: &Path) {
        let disk = File::options().write(true).open(&self.path).unwrap();
        let bytes = fs::read(from).unwrap();
        for (n, block) in (0_u64..).zip(bytes.chunks(4096)) {
            if block.iter().any(|byte| *byte != 0) {
                disk.write_all_at(block, at(part) + n * 4096).unwrap();
            }
        }
    }

    /// Makes a file hold what a partition does.
    fn take(&mut self, part: u64, to: &Path) {
        let mut bytes = vec![0; usize::try_from(SIZE << 20).unwrap()];
        File::open(&self.path).unwrap().read_exact_at(&mut bytes, at(part)).unwrap();
        fs::write(to, bytes).unwrap();
    }
}

fn at(part: u64) -> u64 {
    (1 + part * SIZE) << 20
}
