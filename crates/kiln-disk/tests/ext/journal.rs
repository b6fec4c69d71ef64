// SPDX-License-Identifier: Apache-2.0 OR MIT
//! File systems that were not unmounted: what e2fsck makes of them, and what is made here, is the
//! same tree.

use std::os::unix::fs::FileExt;

use kiln_disk::fs::ext::{Access, Attrs, ExtError, ExtFs, New, Node};
use kiln_testkit::{need, need_root, run};

use crate::image::{Image, NOW, text, tools, tree};

fn attrs(mode: u32) -> Attrs {
    Attrs { mode, ..Attrs::default() }
}

fn file(fs: &mut ExtFs, dir: Node, name: &str, bytes: &[u8]) {
    let _: Node =
        fs.create_file_from(dir, name.as_bytes(), &attrs(0o644), &mut &*bytes).expect("a file");
}

/// An image, another with changes, and the blocks in which they differ.
struct Pair {
    before: Image,
    after: Image,
    block: usize,
    changed: Vec<u64>,
}

impl Pair {
    fn new(options: &[&str]) -> Self {
        let before = Image::new(options);
        let mut fs = before.edit();
        let dir = fs.create(Node::ROOT, b"dir", New::Directory, &attrs(0o755)).expect("it works");
        for n in 0..40 {
            file(&mut fs, dir, &format!("file-{n}"), &[b'a'; 5000]);
        }
        fs.close().expect("it works");
        let after = Image::copy_of(&before.path());
        let mut fs = after.edit();
        let block = usize::try_from(fs.usage().block.0).expect("it works");
        for n in 0..20 {
            fs.unlink(dir, format!("file-{n}").as_bytes()).expect("it works");
        }
        // Begins like a block of the journal.
        let escaped = [&[0xc0, 0x3b, 0x39, 0x98][..], &[b'e'; 9000]].concat();
        file(&mut fs, dir, "escaped", &escaped);
        fs.create(dir, b"new", New::Directory, &attrs(0o700)).expect("it works");
        fs.close().expect("it works");
        let (old, new) = (bytes(&before), bytes(&after));
        let blocks = old.chunks(block).zip(new.chunks(block));
        let changed = (0..).zip(blocks).filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        Self { before, after, block, changed }
    }

    /// Writes the changes into the journal of the first image with debugfs, in two transactions;
    /// the first has other contents for what the second writes or revokes.
    fn commit(&self, open: &str) {
        let folder = tempfile::tempdir().expect("it works");
        let (junk, good) = (folder.path().join("junk"), folder.path().join("good"));
        std::fs::write(&junk, vec![0x5a; self.block * self.changed.len()]).expect("it works");
        let new = bytes(&self.after);
        let at = |index: &u64| usize::try_from(*index).expect("it works") * self.block;
        let parts: Vec<u8> =
            self.changed.iter().flat_map(|i| new[at(i)..at(i) + self.block].to_vec()).collect();
        std::fs::write(&good, parts).expect("it works");
        // The last blocks hold nothing: they are written once, and revoked then.
        let last = bytes(&self.before).len() / self.block - 2;
        let list: Vec<String> = self.changed.iter().map(u64::to_string).collect();
        let list = list.join(",");
        let script = folder.path().join("script");
        let commands = [
            open.to_owned(),
            format!("jw -b {last} {}", text(&junk)),
            format!("jw -b {list} {}", text(&junk)),
            format!("jw -r {last}"),
            format!("jw -b {list} {}", text(&good)),
            "jc".to_owned(),
        ];
        std::fs::write(&script, commands.join("\n") + "\n").expect("it works");
        let path = self.before.path();
        let _ = run(&["debugfs", "-w", "-f", text(&script), text(&path)]).success();
        let features = self.before.debugfs("show_super_stats -h");
        assert!(features.contains("needs_recovery"), "{features}");
    }
}

fn bytes(image: &Image) -> Vec<u8> {
    std::fs::read(image.path()).expect("it works")
}

/// Checks that reading and writing both show what e2fsck does; returns the tree.
#[track_caller]
fn check_against_e2fsck(dirty: &Image) -> Vec<String> {
    let mended = Image::copy_of(&dirty.path());
    let out = run(&["e2fsck", "-fy", text(&mended.path())]);
    assert!(out.code <= 1, "{}{}", out.stdout, out.stderr);
    let expected = tree(&mut mended.open(Access::Read));
    let before = bytes(dirty);
    assert_eq!(tree(&mut dirty.open(Access::Read)), expected);
    assert!(bytes(dirty) == before, "reading changed the image");
    dirty.edit().close().expect("it works");
    dirty.check();
    assert_eq!(tree(&mut dirty.open(Access::Read)), expected);
    let (ours, theirs) = (dirty.edit().usage(), mended.edit().usage());
    assert_eq!(ours, theirs);
    expected
}

#[test]
fn committed_transactions_are_replayed() {
    if !tools() {
        return;
    }
    for (options, open) in [
        (&["-t", "ext4"][..], "jo -c"),
        (&["-t", "ext4", "-b", "1024"], "jo -c -v 2"),
        (&["-t", "ext4", "-O", "^64bit,^metadata_csum"], "jo"),
        (&["-t", "ext4", "-O", "^64bit"], "jo"),
        (&["-t", "ext4", "-O", "fast_commit"], "jo -c -v 3"),
        (&["-t", "ext3", "-b", "1024"], "jo"),
    ] {
        let pair = Pair::new(options);
        pair.commit(open);
        let expected = check_against_e2fsck(&pair.before);
        assert_eq!(tree(&mut pair.after.open(Access::Read)), expected, "{options:?}");
    }
}

#[test]
fn a_damaged_journal_is_refused() {
    if !tools() {
        return;
    }
    let pair = Pair::new(&["-t", "ext4", "-b", "1024"]);
    pair.commit("jo -c");
    let whole = bytes(&pair.before);
    // The log begins after the journal's superblock.
    let map = pair.before.debugfs("bmap <8> 0");
    let journal = map.trim().parse::<usize>().unwrap() * 1024;
    let try_with = |at: usize, byte: u8| {
        let file = std::fs::File::options().write(true).open(pair.before.path()).unwrap();
        file.write_all_at(&whole, 0).unwrap();
        file.write_all_at(&[byte], (journal + at) as u64).unwrap();
        let results = [Access::Read, Access::Write { now: NOW }].map(|a| pair.before.try_open(a));
        results.map(|result| result.map(|_| ()).map_err(|error| error.to_string()))
    };
    let refused =
        |why: &str| Err(format!("the journal of the file system cannot be replayed: {why}"));
    for (at, byte, why) in [
        (0, 7, "it has no superblock"),
        (0x11, 7, "its superblock has a wrong checksum"),
        (0x28, 7, "it has unknown features"),
        (0xfd, 7, "its superblock has a wrong checksum"),
        // The commit block of the first transaction, which has one block that is revoked later,
        // and the first block of the second.
        (5 * 1024 + 7, 7, "a block of it has a wrong checksum"),
        (3072 + 0x35, 7, "a commit block has a wrong checksum"),
    ] {
        let why = refused(why);
        assert_eq!(try_with(at, byte), [why.clone(), why], "{at:#x}");
    }
}

#[test]
fn files_without_a_name_go_and_longer_ones_are_cut_off() {
    if !tools() {
        return;
    }
    for options in [&["-t", "ext4", "-O", "^orphan_file"][..], &["-t", "ext3", "-b", "1024"]] {
        let image = Image::new(options);
        let mut fs = image.edit();
        file(&mut fs, Node::ROOT, "gone", &[1; 500_000]);
        file(&mut fs, Node::ROOT, "long", &[2; 500_000]);
        let number = |fs: &mut ExtFs, name: &[u8]| fs.lookup(name).unwrap().unwrap().number();
        let (gone, long) = (number(&mut fs, b"gone"), number(&mut fs, b"long"));
        fs.close().unwrap();
        let script = [
            format!("set_super_value last_orphan {gone}"),
            format!("set_inode_field <{gone}> links_count 0"),
            format!("set_inode_field <{gone}> dtime {long}"),
            format!("set_inode_field <{long}> size 100001"),
            "unlink gone".to_owned(),
        ];
        let path = image.path().with_extension("cmd");
        std::fs::write(&path, script.join("\n") + "\n").unwrap();
        let _ = run(&["debugfs", "-w", "-f", text(&path), text(&image.path())]).success();
        let tree = check_against_e2fsck(&image);
        assert_eq!(tree.len(), 3, "{tree:?}");
        assert!(tree[1].contains("/long File") && tree[1].contains(" 100001 "), "{tree:?}");
    }
}

/// Images of a machine that lost its power: a copy of the image while Linux has it mounted.
#[test]
fn what_linux_left_is_replayed() {
    let loops = std::path::Path::new("/sys/block/loop0").exists();
    if !tools() || !need_root("loop devices") || !need(loops, "loop devices") {
        return;
    }
    for options in [
        &["-t", "ext4"][..],
        &["-t", "ext4", "-b", "1024", "-O", "orphan_file,metadata_csum_seed,inline_data"],
        &["-t", "ext4", "-O", "^metadata_csum,^64bit,^orphan_file"],
        &["-t", "ext3", "-b", "1024"],
    ] {
        let image = Image::new(options);
        let dirty = crash(&image, "").expect("Linux mounts it");
        let tree = check_against_e2fsck(&dirty);
        assert!(tree.iter().any(|line| line.starts_with("//dir/moved ")), "{options:?} {tree:?}");
        let old = Image::new(options);
        if let Some(dirty) = crash(&old, ",journal_checksum") {
            check_against_e2fsck(&dirty);
        }
    }
}

/// Mounts an image in a mount namespace of its own, works on it, and copies it at a moment when
/// nothing but the journal has been written. `None` if Linux does not mount it.
fn crash(image: &Image, options: &str) -> Option<Image> {
    let path = image.path();
    let folder = path.parent().expect("it works");
    let copy = folder.join("copy");
    let script = format!(
        "set -e; cd {0}; mkdir -p m; mount -o loop,commit=600{options} fs.raw m || exit 77
         cd m; mkdir dir many; for i in $(seq 300); do echo $i > many/a-long-file-name-$i; done
         head -c 3000000 /dev/zero | tr '\\0' x > dir/file; sync
         exec 3< dir/file; rm dir/file; mv many/a-long-file-name-1 dir/moved
         for i in $(seq 2 200); do rm many/a-long-file-name-$i; done
         setfattr -n user.x -v y dir/moved 2>/dev/null || true; ln -s /etc/passwd dir/link
         head -c 200000 /dev/zero | tr '\\0' y > dir/new; truncate -s 100 dir/new
         sync -d dir/new; sync dir; cp --sparse=always ../fs.raw ../copy
         exec 3<&-; cd ..; umount m",
        text(folder)
    );
    let out = run(&["unshare", "-m", "bash", "-c", &script]);
    if out.code == 77 {
        return None;
    }
    let _ = out.success();
    Some(Image::copy_of(&copy))
}

#[test]
fn a_journal_elsewhere_is_refused() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4"]);
    let _ = run(&["debugfs", "-w", "-R", "set_super_value journal_inum 0", text(&image.path())]);
    let _ = run(&["debugfs", "-w", "-R", "feature needs_recovery", text(&image.path())]);
    let error = image.try_open(Access::Read).unwrap_err();
    assert!(matches!(error, ExtError::Journal { .. }), "{error:?}");
}
