// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems: walked whole, changed, and looked at again.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::path::Path;

use kiln_disk::device::Device;
use kiln_disk::fs::ext::{self, Access, Attrs, Contents, ExtFs, Kind, Time};
use kiln_disk::fs::fat::{self, FatFs};
use kiln_disk::fs::iso9660::{self, IsoFs};
use kiln_testkit::fuzz::Outcome;

use crate::targets::{CANARY, Memory};

/// Names that a walk sees, and how deep it goes: a verb has limits of its own.
const MOST_SEEN: usize = 3000;
const DEEPEST: usize = 40;
/// The most of a file that is read.
const MOST: u64 = 1 << 20;
const NOW: i64 = 1_700_000_000;
const NEW: &[u8] = b"what was written into the hostile file system";

fn attrs() -> Attrs {
    Attrs { mode: 0o644, uid: 0, gid: 0, mtime: Time { seconds: NOW, nanos: 0 } }
}

fn checked_name(name: &[u8]) {
    let bad = name.is_empty() || name == b"." || name == b".." || name.contains(&b'/');
    assert!(!bad && !name.contains(&0), "{name:?} would leave its directory");
}

fn checked_bytes(bytes: &[u8]) {
    assert!(!bytes.chunks(512).any(|part| part.starts_with(CANARY)), "a file of the host was read");
}

fn checked_ranges(ranges: &[Range<u64>], size: u64) {
    let apart = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
    let within = ranges.iter().all(|range| range.start < range.end && range.end <= size);
    assert!(apart && within, "{ranges:?} of {size}");
}

/// Blocks that belong to two files, or are used and marked as free, cannot be told from others
/// without a check of the whole: what is written may be overwritten then.
fn same(read: &[u8]) -> Result<(), Box<dyn Error>> {
    if read == NEW { Ok(()) } else { Err("what was written is something else".into()) }
}

/// What a walk did: names seen, and the first error.
#[derive(Default)]
struct Seen {
    names: usize,
    error: Option<Box<dyn Error>>,
}

impl Seen {
    fn note<T, E: Error + 'static>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error.get_or_insert_with(|| error.into()).to_string()).ok()
    }
}

pub(crate) fn ext(bytes: &[u8], _: &Path) -> Outcome {
    let memory = Memory::new(bytes);
    let mut fs = ExtFs::open(memory.again(), Access::Read)?;
    let mut seen = Seen::default();
    let mut todo = vec![(ext::Node::ROOT, 0)];
    while let Some((dir, depth)) = todo.pop() {
        for listed in seen.note(fs.list(dir)).unwrap_or_default() {
            seen.names += 1;
            if seen.names > MOST_SEEN || depth > DEEPEST {
                break;
            }
            checked_name(&listed.name);
            let Some(stat) = seen.note(fs.stat(listed.node)) else { continue };
            seen.note(fs.xattrs(listed.node));
            match stat.kind {
                Kind::Directory => todo.push((listed.node, depth + 1)),
                Kind::File => {
                    let read = seen.note(fs.read_file(listed.node, MOST));
                    checked_bytes(&read.unwrap_or_default());
                    let ranges = seen.note(fs.data_ranges(listed.node)).flatten();
                    checked_ranges(&ranges.unwrap_or_default(), stat.size);
                }
                Kind::Symlink => {
                    seen.note(fs.read_link(listed.node));
                }
                _ => (),
            }
        }
    }
    seen.note(fs.resolve(b"/dir/link/../a"));
    let unchanged = memory.0.lock().expect("nobody panics with it").as_slice() == bytes;
    assert!(unchanged, "reading changed the device");
    drop(fs);
    change_ext(&memory)?;
    seen.error.map_or(Ok(format!("{} names", seen.names)), Err)
}

fn change_ext(memory: &Memory) -> Result<(), Box<dyn Error>> {
    let mut fs = ExtFs::open(memory.again(), Access::Write { now: NOW })?;
    let root = ext::Node::ROOT;
    let size = u64::try_from(NEW.len())?;
    fs.create_file(root, b"new", &attrs(), Contents { size, data: &mut &*NEW })?;
    let dir = fs.create(root, b"newdir", ext::New::Directory, &attrs())?;
    if let Some(node) = fs.child(root, b"a")? {
        fs.overwrite(node, &mut &*NEW)?;
        fs.rename((root, b"a"), (dir, b"moved"))?;
    }
    if fs.child(root, b"b")?.is_some() {
        fs.unlink(root, b"b")?;
    }
    fs.close()?;
    let mut fs = ExtFs::open(memory.again(), Access::Read)?;
    let node = fs.lookup(b"/new")?.ok_or("what was written is not there")?;
    same(&fs.read_file(node, MOST)?)
}

pub(crate) fn fat(bytes: &[u8], _: &Path) -> Outcome {
    let memory = Memory::new(bytes);
    let mut fs = FatFs::open(memory.again(), Access::Read)?;
    let mut seen = Seen::default();
    seen.note(fs.info());
    let usage = fs.usage()?;
    assert!(usage.free <= usage.size, "{usage:?}");
    let mut todo = vec![(fat::Node::ROOT, 0)];
    while let Some((dir, depth)) = todo.pop() {
        let mut names = BTreeMap::new();
        for listed in seen.note(fs.list(dir)).unwrap_or_default() {
            seen.names += 1;
            if seen.names > MOST_SEEN || depth > DEEPEST {
                break;
            }
            checked_name(listed.name.as_bytes());
            assert!(names.insert(listed.name.clone(), listed.node).is_none(), "a name twice");
            if listed.kind == Kind::Directory {
                todo.push((listed.node, depth + 1));
            } else {
                let read = seen.note(fs.read_file(listed.node, MOST));
                checked_bytes(&read.unwrap_or_default());
            }
        }
    }
    let unchanged = memory.0.lock().expect("nobody panics with it").as_slice() == bytes;
    assert!(unchanged, "reading changed the device");
    drop(fs);
    change_fat(&memory)?;
    seen.error.map_or(Ok(format!("{} names", seen.names)), Err)
}

fn change_fat(memory: &Memory) -> Result<(), Box<dyn Error>> {
    let mut fs = FatFs::open(memory.again(), Access::Write { now: NOW })?;
    let root = fat::Node::ROOT;
    fs.write_file(root, b"a new file.txt", &mut &*NEW, &attrs())?;
    let dir = match fs.lookup(b"newdir")? {
        Some(dir) => dir,
        None => fs.mkdir(root, b"newdir", &attrs())?,
    };
    for name in [&b"A.TXT"[..], b"a long name.txt"] {
        if fs.child(root, name)?.is_some() {
            fs.write_file(root, name, &mut &*NEW, &attrs())?;
            fs.rename((root, name), (dir, name))?;
        }
    }
    let names: Vec<_> = fs.list(root)?.into_iter().filter(|l| l.kind == Kind::File).collect();
    if let Some(last) = names.last().filter(|l| l.name != "a new file.txt") {
        fs.unlink(root, last.name.as_bytes())?;
    }
    fs.close()?;
    let mut fs = FatFs::open(memory.again(), Access::Read)?;
    let node = fs.lookup(b"A NEW FILE.TXT")?.ok_or("what was written is not there")?;
    same(&fs.read_file(node, MOST)?)
}

pub(crate) fn iso(bytes: &[u8], _: &Path) -> Outcome {
    let memory = Memory::new(bytes);
    let size = memory.size();
    let mut fs = IsoFs::open(Box::new(memory))?;
    let mut seen = Seen::default();
    for image in seen.note(fs.boot_images()).unwrap_or_default() {
        let _ = image.at < size;
    }
    let mut todo = vec![(iso9660::Node::ROOT, 0)];
    while let Some((dir, depth)) = todo.pop() {
        for listed in seen.note(fs.list(dir)).unwrap_or_default() {
            seen.names += 1;
            if seen.names > MOST_SEEN || depth > DEEPEST {
                break;
            }
            checked_name(&listed.name);
            match listed.kind {
                Kind::Directory => todo.push((listed.node, depth + 1)),
                Kind::File => {
                    let read = seen.note(fs.read_file(listed.node, MOST));
                    checked_bytes(&read.unwrap_or_default());
                }
                Kind::Symlink => {
                    seen.note(fs.read_link(listed.node));
                }
                _ => (),
            }
        }
    }
    seen.error.map_or(Ok(format!("{} names", seen.names)), Err)
}
