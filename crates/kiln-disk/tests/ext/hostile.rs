// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Damaged and hostile file systems: each ends in an error or in a tree, never in a crash, a hang
//! or much memory.

use std::io;
use std::time::{Duration, Instant};

use kiln_disk::device::Device;
use kiln_disk::fs::ext::{Access, Attrs, ExtError, ExtFs, Kind, New, Node};
use kiln_testkit::{Rng, run, variable};

use crate::image::{Image, NOW, text, tools};

/// What one image may take.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Images that each run tries; `KILN_FUZZ` says how many instead, and `KILN_FUZZ_SEED` where to
/// begin.
const CASES: u64 = 200;

/// A device in memory.
#[derive(Clone, Debug)]
struct Memory(Vec<u8>);

impl Memory {
    fn part(&mut self, at: u64, len: usize) -> io::Result<&mut [u8]> {
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = at.checked_add(len).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0.get_mut(at..end).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Device for Memory {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(self.part(at, buf.len())?);
        Ok(())
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.part(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.part(at, len)?.fill(0);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        u64::try_from(self.0.len()).expect("it is in memory")
    }
}

/// Looks at everything.
fn look(bytes: &[u8]) -> Result<usize, ExtError> {
    let mut fs = ExtFs::open(Box::new(Memory(bytes.to_vec())), Access::Read)?;
    let _ = (fs.usage(), fs.uuid(), fs.label());
    let mut todo = vec![Node::ROOT];
    let mut seen = 0;
    let mut buf = vec![0; 100_000];
    // Directories may lead in circles.
    while let Some(node) = todo.pop().filter(|_| seen < 500) {
        seen += 1;
        let _ = fs.xattrs(node);
        let Ok(stat) = fs.stat(node) else { continue };
        match stat.kind {
            Kind::File => {
                let _ = fs.read_at(node, 0, &mut buf);
                let _ = fs.read_at(node, stat.size / 2, &mut buf);
                let _ = fs.read_file(node, 1 << 20);
            }
            Kind::Symlink => {
                let _ = fs.read_link(node);
            }
            Kind::Directory => {
                let listed = fs.list(node).unwrap_or_default();
                todo.extend(listed.into_iter().map(|entry| entry.node));
            }
            _ => (),
        }
    }
    for path in [&b"/d/link/x"[..], b"/a/../b", b"/file/..", b"/loop"] {
        let _ = fs.resolve(path);
    }
    Ok(seen)
}

/// Changes all sorts of things.
fn change(bytes: &[u8]) -> Result<(), ExtError> {
    let access = Access::Write { now: NOW };
    let mut fs = ExtFs::open(Box::new(Memory(bytes.to_vec())), access)?;
    let attrs = Attrs { mode: 0o755, ..Attrs::default() };
    let listed = fs.list(Node::ROOT).unwrap_or_default();
    let data = vec![7; 50_000];
    let mut dirs = vec![Node::ROOT];
    for (n, entry) in listed.iter().enumerate().take(60) {
        let name = entry.name.as_slice();
        let _ = match (n % 6, entry.kind) {
            (0, _) => fs.overwrite(entry.node, &mut data.as_slice()).map(|_| ()),
            (1, _) => fs.truncate(entry.node, 10_001),
            (2, _) => fs.replace_xattrs(entry.node, &[("user.x".to_owned(), vec![1; 300])]),
            (3, _) => fs.rename((Node::ROOT, name), (Node::ROOT, b"renamed")),
            (4, _) => fs.link(Node::ROOT, b"linked", entry.node),
            _ => fs.remove(Node::ROOT, name),
        };
        dirs.push(entry.node);
    }
    for dir in dirs {
        let _ = fs.create(dir, b"new dir", New::Directory, &attrs);
        let _ = fs.create(dir, b"new link", New::Symlink(&[b'l'; 100]), &attrs);
        let _ = fs.create_file_from(dir, b"new file", &attrs, &mut data.as_slice());
        let inside = fs.list(dir).unwrap_or_default();
        for entry in inside.iter().take(20) {
            let _ = fs.set_attrs(entry.node, &attrs);
            let _ = fs.remove(dir, &entry.name);
        }
    }
    fs.close()
}

/// Tries one image.
fn try_image(bytes: &[u8], what: &str) {
    let before = Instant::now();
    let _ = look(bytes);
    let _ = change(bytes);
    let took = before.elapsed();
    assert!(took < MOST_TIME, "{what}: {took:?}");
}

const FEATURES: [&[&str]; 6] = [
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^has_journal"],
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,inline_data,ea_inode", "-J", "size=1"],
    &["-t", "ext2", "-b", "1024", "-I", "128"],
    &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^has_journal,^64bit,large_dir"],
    &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^resize_inode,meta_bg,^has_journal"],
    &["-t", "ext4", "-b", "2048", "-O", "metadata_csum,orphan_file,^resize_inode", "-J", "size=2"],
];

/// Returns the bytes of a small file system with a bit of everything.
fn sample(options: &[&str], needs_journal: bool) -> Vec<u8> {
    let image = Image::sized(8 << 20, &[&["-N", "256"], options].concat());
    let mut fs = image.edit();
    let attrs = Attrs { mode: 0o755, ..Attrs::default() };
    let dir = fs.create(Node::ROOT, b"d", New::Directory, &attrs).expect("a directory");
    fs.create(dir, b"link", New::Symlink(b"../d"), &attrs).expect("a link");
    fs.create(Node::ROOT, b"loop", New::Symlink(&[b'l'; 200]), &attrs).expect("a link");
    fs.create(Node::ROOT, b"null", New::Char(1, 3), &attrs).expect("a device");
    for n in 0..120 {
        let name = format!("a-name-that-is-not-short-{n}");
        fs.create(dir, name.as_bytes(), New::Fifo, &attrs).expect("a pipe");
    }
    let mut holes = vec![0; 700_000];
    // More extents than fit the inode.
    for at in (0..holes.len()).step_by(90_000) {
        holes[at] = 1;
    }
    for (name, bytes) in [("file", &[1_u8; 30_000][..]), ("small", b"x"), ("holes", &holes)] {
        let data = &mut &*bytes;
        let node = fs.create_file_from(Node::ROOT, name.as_bytes(), &attrs, data).expect("a file");
        let xattrs: Vec<_> = (0..4).map(|n| (format!("user.{n}"), vec![n; 120])).collect();
        fs.set_xattrs(node, &xattrs).expect("attributes");
    }
    fs.close().expect("it closes");
    if options.iter().any(|option| option.contains("inline_data")) {
        // Only others leave contents in inodes.
        let small = image.path().with_extension("small");
        std::fs::write(&small, [b'i'; 100]).expect("a file");
        for command in [format!("write {} inline", text(&small)), "mkdir idir".to_owned()] {
            let _ = run(&["debugfs", "-w", "-R", &command, text(&image.path())]).success();
        }
    }
    if needs_journal {
        let script = image.path().with_extension("cmd");
        let data = image.path().with_extension("data");
        std::fs::write(&data, vec![0x5a; 8192]).expect("a file");
        let data = text(&data);
        let commands =
            format!("jo\njw -b 3000,3001 {data}\njw -r 3000\njw -b 3000,3001 {data}\njc\n");
        std::fs::write(&script, commands).expect("a script");
        let path = image.path();
        let _ = run(&["debugfs", "-w", "-f", text(&script), text(&path)]).success();
    }
    std::fs::read(image.path()).expect("the image")
}

/// Changes some bytes, mostly of blocks that are not empty.
fn mutate(bytes: &mut [u8], rng: &mut Rng) {
    for _ in 0..1 + rng.below(6) {
        let at = match rng.below(8) {
            // The superblock, and what follows it.
            0 | 1 => 1024 + rng.below(0x180),
            2 => 2048 + rng.below(4096),
            _ => {
                let mut block = rng.below(bytes.len() / 128) * 128;
                for _ in 0..64 {
                    if bytes[block..block + 128].iter().any(|&b| b != 0) {
                        break;
                    }
                    block = rng.below(bytes.len() / 128) * 128;
                }
                block + rng.below(128)
            }
        };
        match rng.below(6) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            2 => {
                let value = *rng.pick(&[0, 1, 2, 8, 11, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
                let at = at & !3;
                bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            }
            3 => {
                let from = rng.below(bytes.len() - 64) & !3;
                let copy = bytes[from..from + 32].to_vec();
                let to = at.min(bytes.len() - 64) & !3;
                bytes[to..to + 32].copy_from_slice(&copy);
            }
            _ => bytes[at] = rng.number().to_le_bytes()[0],
        }
    }
}

#[test]
fn mutated_images_end_in_an_error_or_in_a_tree() {
    if !tools() {
        return;
    }
    let number = |name: &str| variable(name).and_then(|value| value.parse::<u64>().ok());
    let (first, count) = (number("KILN_FUZZ_SEED").unwrap_or(0), number("KILN_FUZZ"));
    let samples: Vec<Vec<u8>> =
        FEATURES.iter().map(|options| sample(options, options.contains(&"-J"))).collect();
    for bytes in &samples {
        assert!(look(bytes).expect("it is sound") > 100);
        change(bytes).expect("it can be changed");
    }
    let at = variable("KILN_FUZZ_AT");
    for seed in first..first + count.unwrap_or(CASES) {
        // For the runs that are to find crashes: where it was.
        if let Some(at) = &at {
            std::fs::write(at, seed.to_string()).expect("a note");
        }
        let mut rng = Rng::new(seed);
        let mut bytes = rng.pick(&samples).clone();
        mutate(&mut bytes, &mut rng);
        try_image(&bytes, &format!("seed {seed}"));
    }
}

/// What debugfs is told to make of a sound image, and which the library or we once fell over, or
/// might. The file system has no checksums, so that nothing is refused for those.
const RECIPES: [&str; 37] = [
    // libext2fs 1.47 fills as many bytes of an inode with zeros, whatever its size.
    "set_super_value want_extra_isize 65535",
    "set_super_value min_extra_isize 65532",
    // It writes past the end of the bitmaps that it reads.
    "set_super_value first_data_block 92",
    "set_super_value inodes_per_group 4294967288",
    "set_super_value blocks_per_group 8",
    "set_super_value clusters_per_group 4294967295",
    "set_super_value blocks_count 4294967295",
    "set_super_value inodes_count 4294967295",
    "set_super_value log_block_size 31",
    "set_super_value log_cluster_size 31",
    "set_super_value inode_size 129",
    "set_super_value inode_size 32768",
    "set_super_value first_ino 0",
    "set_super_value desc_size 7",
    "set_super_value reserved_gdt_blocks 65535",
    "set_super_value last_orphan 2",
    "set_super_value last_orphan 4294967295",
    "set_super_value journal_inum 2",
    "set_bg 0 inode_table 4294967295",
    "set_bg 0 block_bitmap 0",
    "set_bg 0 free_blocks_count 65535",
    "set_inode_field <2> mode 0100644",
    "set_inode_field <2> size 0x4000000000000000",
    "set_inode_field d size 0x40000000000",
    "set_inode_field d size 0",
    "set_inode_field file size 0x7fffffffffffffff",
    "set_inode_field file extra_isize 65532",
    "set_inode_field file extra_isize 3",
    "set_inode_field file file_acl 4294967295",
    "set_inode_field file file_acl 1",
    "set_inode_field file block[0] 0xfffff30a",
    "set_inode_field file block[1] 0xffff0005",
    "set_inode_field file flags 0x10000000",
    "set_inode_field loop size 0x10000000000",
    "set_inode_field loop size 70000",
    "link d d/inside",
    "link <8> d/journal",
];

#[test]
fn what_debugfs_breaks_ends_in_an_error_or_in_a_tree() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fs.raw");
    for options in [FEATURES[0], FEATURES[1], FEATURES[2]] {
        let sound = sample(options, false);
        for recipe in RECIPES {
            std::fs::write(&path, &sound).expect("a copy");
            let _ = run(&["debugfs", "-w", "-R", recipe, text(&path)]).success();
            let bytes = std::fs::read(&path).expect("the image");
            try_image(&bytes, recipe);
        }
    }
}

#[test]
fn an_image_that_was_cut_off_is_refused() {
    if !tools() {
        return;
    }
    let mut bytes = sample(FEATURES[0], false);
    bytes.truncate(5 << 20);
    let error = look(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "the superblock of the file system is damaged: it is longer than what holds it"
    );
    for len in [0, 1000, 1024, 1500, 2047, 2048, 4096, 10_000] {
        assert!(look(&bytes[..len]).is_err(), "{len}");
    }
}
