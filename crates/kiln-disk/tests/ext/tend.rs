// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checking, mending and changing the size.

use std::fs::File;
use std::os::unix::fs::FileExt;

use kiln_disk::device::{Device, RawFile};
use kiln_disk::fs::ext::check::{Checked, check, repair};
use kiln_disk::fs::ext::resize::{minimum_size, resize};
use kiln_disk::fs::ext::{Access, Attrs, ExtFs, New, Node, Progress, TendError};
use kiln_host::tools::e2fsck::Outcome;
use kiln_host::{Host, RealHost};
use kiln_spec::Bytes;
use kiln_testkit::{Rng, need_program, run};

use crate::image::{Image, text, tools, tree};

fn device(image: &Image) -> Box<dyn Device> {
    let file = File::options().read(true).write(true).open(image.path()).expect("the image");
    Box::new(RawFile::new(file).expect("a device"))
}

fn checked(image: &Image) -> Checked {
    check(device(image), &RealHost, image.folder(), &mut |_| ()).expect("a verdict")
}

fn filled(options: &[&str]) -> Image {
    let image = Image::new(options);
    let mut fs: ExtFs = image.edit();
    let attrs = Attrs { mode: 0o755, ..Attrs::default() };
    let mut rng = Rng::new(1);
    for n in 0..30 {
        let name = format!("dir-{n}");
        let dir = fs.create(Node::ROOT, name.as_bytes(), New::Directory, &attrs).expect("new");
        let bytes = rng.bytes(100_000 + n * 7000);
        fs.create_file_from(dir, b"file", &attrs, &mut bytes.as_slice()).expect("new");
    }
    fs.close().expect("it closes");
    image
}

#[test]
fn damage_is_found_and_mended() {
    if !tools() {
        return;
    }
    let image = filled(&["-t", "ext4", "-b", "1024"]);
    let sound = std::fs::read(image.path()).unwrap();
    assert_eq!(checked(&image).outcome, Outcome::Clean);
    let mut steps = Vec::new();
    let nothing = repair(device(&image), &RealHost, image.folder(), &mut |p| steps.push(p));
    assert_eq!(nothing.unwrap().outcome, Outcome::Clean);
    assert!(steps.contains(&Progress::Tool));
    // e2fsck wrote down that it was there, but nothing was wrong: the image is as it was.
    assert!(std::fs::read(image.path()).unwrap() == sound);

    let expected = tree(&mut image.open(Access::Read));
    let file = File::options().write(true).open(image.path()).unwrap();
    // The bitmap of blocks in use says that none is.
    let stats = image.debugfs("show_super_stats");
    let bitmap = stats.split("block bitmap at ").nth(1).unwrap();
    let bitmap: u64 = bitmap.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    file.write_all_at(&[0; 1024], bitmap * 1024).unwrap();
    let damaged = checked(&image);
    assert_eq!(damaged.outcome, Outcome::Damaged);
    assert!(!damaged.report.is_empty());
    let size = 40 << 20;
    let error = resize(device(&image), size, (&RealHost, image.folder()), &mut |_| ()).unwrap_err();
    assert!(matches!(error, TendError::Damaged { .. }), "{error:?}");
    let mended = repair(device(&image), &RealHost, image.folder(), &mut |_| ()).unwrap();
    assert_eq!(mended.outcome, Outcome::Mended);
    image.check();
    assert_eq!(tree(&mut image.open(Access::Read)), expected);
}

/// Leaves a block in the journal and a file without a name, as one that was not unmounted has them.
fn leave_unfinished(image: &Image) {
    let mut fs = image.edit();
    let gone = fs.lookup(b"dir-1/file").expect("it works").expect("it works").number();
    fs.close().expect("it works");
    let (block, script) = (image.folder().join("block"), image.folder().join("script"));
    std::fs::write(&block, [0; 1024]).expect("it works");
    let commands = [
        "unlink /dir-1/file".to_owned(),
        format!("set_inode_field <{gone}> links_count 0"),
        format!("set_super_value last_orphan {gone}"),
        "journal_open".to_owned(),
        // The last block holds nothing.
        format!("journal_write -b {} {}", (48 << 10) - 2, text(&block)),
        "journal_close".to_owned(),
    ];
    std::fs::write(&script, commands.join("\n") + "\n").expect("it works");
    drop(run(&["debugfs", "-w", "-f", text(&script), text(&image.path())]).success());
    let features = image.debugfs("show_super_stats -h");
    assert!(features.contains("needs_recovery"), "{features}");
}

/// e2fsck mends group descriptors by the way when it replays a journal: that is no sound one.
#[test]
fn damaged_descriptors_are_found_whatever_the_journal_says() {
    if !tools() {
        return;
    }
    for unfinished in [false, true] {
        let image = filled(&["-t", "ext4", "-b", "1024"]);
        if unfinished {
            leave_unfinished(&image);
        }
        assert_eq!(checked(&image).outcome, Outcome::Clean, "{unfinished}");
        let sound = Image::copy_of(&image.path());
        let file = File::options().write(true).open(image.path()).unwrap();
        file.write_all_at(&Rng::new(7).bytes(1024), 2048).unwrap();
        let damaged = checked(&image);
        assert_eq!(damaged.outcome, Outcome::Damaged, "{unfinished}: {}", damaged.report);
        assert!(!damaged.report.is_empty());
        let means = (&RealHost as &dyn Host, image.folder());
        let error = resize(device(&image), 40 << 20, means, &mut |_| ()).unwrap_err();
        let refused = matches!(error, TendError::Damaged { .. } | TendError::Read { .. });
        assert!(refused, "{error:?}");
        let mended = repair(device(&image), &RealHost, image.folder(), &mut |_| ()).unwrap();
        assert_eq!(mended.outcome, Outcome::Mended);
        image.check();
        assert_eq!(tree(&mut image.open(Access::Read)), tree(&mut sound.open(Access::Read)));
    }
}

#[test]
fn sizes_change_in_both_directions() {
    if !tools() || !need_program("resize2fs") {
        return;
    }
    for options in [
        &["-t", "ext4", "-b", "1024"][..],
        &["-t", "ext4", "-b", "4096", "-O", "^resize_inode,meta_bg"],
        &["-t", "ext3", "-b", "1024", "-O", "^resize_inode"],
    ] {
        let image = filled(options);
        let expected = tree(&mut image.open(Access::Read));
        let to = |size: u64| resize(device(&image), size, (&RealHost, image.folder()), &mut |_| ());
        let minimum = minimum_size(device(&image), &RealHost, image.folder(), &mut |_| ()).unwrap();
        assert!((6 << 20..40 << 20).contains(&minimum.0), "{minimum}");
        let error = to(minimum.0 - 4096).unwrap_err();
        assert!(matches!(error, TendError::TooSmall { .. }), "{error:?}");
        let error = to(49 << 20).unwrap_err();
        assert!(matches!(error, TendError::TooLarge { .. }), "{error:?}");
        // Room that was never written to holds anything.
        let end = minimum.0.next_multiple_of(1 << 20) + (1 << 20);
        assert_eq!(to(end + 100).unwrap(), Bytes(end));
        image.check();
        let file = File::options().write(true).open(image.path()).unwrap();
        file.write_all_at(&vec![0xa5; (48 << 20) - usize::try_from(end).unwrap()], end).unwrap();
        assert_eq!(tree(&mut image.open(Access::Read)), expected);
        assert_eq!(to(48 << 20).unwrap(), Bytes(48 << 20));
        image.check();
        assert_eq!(tree(&mut image.open(Access::Read)), expected);
        assert_eq!(image.edit().usage().size, Bytes(48 << 20));
    }
}

#[test]
fn what_is_no_file_system_is_said() {
    if !tools() {
        return;
    }
    let image = Image::new(&["-t", "ext4"]);
    File::options().write(true).open(image.path()).unwrap().write_all_at(&[0; 4096], 0).unwrap();
    let error = minimum_size(device(&image), &RealHost, image.folder(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, TendError::Read { .. }), "{error:?}");
    let left: Vec<_> = std::fs::read_dir(image.folder()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
