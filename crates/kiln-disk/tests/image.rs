// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images changed here and judged by qemu-img: after each commit the image is whole and the disk
//! is what a plain vector of bytes says.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::fs;
use std::path::PathBuf;

use kiln_disk::device::Device;
use kiln_disk::image::{Backing, DiskImage, FormatName, Mode, OpenOptions};
use kiln_testkit::{need_program, run};

/// Knuth's MMIX numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 24) % n
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = u8::try_from(self.below(256)).unwrap();
        }
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program; words that begin with `@` are files in the folder.
    fn try_run(&self, words: &str) -> kiln_testkit::Output {
        let words: Vec<String> = words
            .split_whitespace()
            .map(|word| match word.split_once('@') {
                Some((before, name)) => format!("{before}{}", self.path(name).display()),
                None => word.to_owned(),
            })
            .collect();
        run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    fn run(&self, words: &str) -> String {
        self.try_run(words).success().stdout
    }

    /// Checks that `@it` is whole and has the bytes of the disk.
    #[track_caller]
    fn judge(&self, disk: &[u8], what: &str) {
        let checked = self.try_run("qemu-img check -q @it");
        assert_eq!(checked.code, 0, "{what}: {}{}", checked.stdout, checked.stderr);
        fs::write(self.path("shadow"), disk).unwrap();
        let compared = self.try_run("qemu-img compare -f raw -F qcow2 @shadow @it");
        assert_eq!(compared.code, 0, "{what}: {}{}", compared.stdout, compared.stderr);
    }
}

fn writing() -> OpenOptions {
    OpenOptions { mode: Mode::Write, skip_sync: true, ..OpenOptions::default() }
}

/// A disk with noise, zeros and text.
fn disk(random: &mut Random, len: usize) -> Vec<u8> {
    let mut disk = vec![0; len];
    random.fill(&mut disk[len / 8..len / 4]);
    disk[len / 2..len / 2 + len / 7].fill(b'x');
    random.fill(&mut disk[len - 700..]);
    disk
}

/// Changes the device and the vector alike.
fn change(device: &mut impl Device, disk: &mut [u8], random: &mut Random) {
    let size = u64::try_from(disk.len()).unwrap();
    for _ in 0..1 + random.below(12) {
        let most = [600, 9000, 150_000, 2_500_000][index(random.below(4))];
        let at = random.below(size) & if random.below(2) == 0 { !0 } else { !4095 };
        let len = (1 + random.below(most)).min(size - at);
        let range = index(at)..index(at + len);
        match random.below(6) {
            0 | 1 => {
                device.discard(at, len).unwrap();
                disk[range].fill(0);
            }
            2 => {
                device.write_at(at, &vec![0; index(len)]).unwrap();
                disk[range].fill(0);
            }
            _ => {
                random.fill(&mut disk[range.clone()][..index(len.min(300))]);
                device.write_at(at, &disk[range]).unwrap();
            }
        }
    }
}

fn read_all(device: &mut impl Device) -> Vec<u8> {
    let mut out = vec![0xee; index(device.size())];
    for (n, piece) in out.chunks_mut(77_777).enumerate() {
        device.read_at(u64::try_from(n).unwrap() * 77_777, piece).unwrap();
    }
    out
}

/// Holes are really zeros.
fn check_extents(device: &mut impl Device, disk: &[u8]) {
    let mut at = 0;
    while at < device.size() {
        let extent = device.extent(at).unwrap();
        assert!(extent.len > 0);
        let range = index(at)..index(at + extent.len);
        assert!(!extent.zeros || disk[range].iter().all(|byte| *byte == 0));
        at += extent.len;
    }
}

/// Changes an image some times over, with QEMU in between, and has each state judged.
fn exercise(folder: &Folder, disk: &mut Vec<u8>, options: &OpenOptions, seed: u64, what: &str) {
    let mut random = Random(seed);
    for round in 0..5 {
        let what = format!("{what}, seed {seed}, round {round}");
        let mut image = DiskImage::open(&folder.path("it"), options).unwrap();
        let mut device = image.device();
        assert!(read_all(&mut device) == *disk, "{what}");
        check_extents(&mut device, disk);
        change(&mut device, disk, &mut random);
        if round % 2 == 1 && !what.contains("snapshot") {
            let sectors = u64::try_from(disk.len()).unwrap() / 512;
            let size = (sectors / 2 + random.below(sectors)) * 512;
            image.resize_virtual(size).unwrap();
            disk.resize(index(size), 0);
            change(&mut device, disk, &mut random);
        }
        assert!(read_all(&mut device) == *disk, "{what}: before the commit");
        check_extents(&mut device, disk);
        image.commit().unwrap();
        assert_eq!(
            device.read_at(0, &mut [0]).unwrap_err().kind(),
            std::io::ErrorKind::NotConnected
        );
        folder.judge(disk, &what);
        // QEMU trusts the flags and counts that it finds.
        let at = random.below(u64::try_from(disk.len()).unwrap() / 1024) * 512;
        let len = 512 * (1 + random.below(100));
        let end = disk.len().min(index(at + len));
        let write = format!("write -P 7 {at} {}", end - index(at));
        let it = folder.path("it");
        let _ = run(&["qemu-io", "-f", "qcow2", "-c", &write, it.to_str().unwrap()]).success();
        disk[index(at)..end].fill(7);
    }
    folder.judge(disk, what);
}

const SHAPES: &[&str] = &[
    "",
    "-o cluster_size=512",
    "-o cluster_size=2M",
    "-o compat=0.10",
    "-o compat=0.10,cluster_size=4k",
    "-o lazy_refcounts=on,cluster_size=8k",
    "-o refcount_bits=1",
    "-o refcount_bits=2,cluster_size=1k",
    "-o refcount_bits=4",
    "-o refcount_bits=8,cluster_size=16k",
    "-o refcount_bits=32",
    "-o refcount_bits=64,cluster_size=512",
    "-o preallocation=metadata",
    "-o preallocation=full",
    "-c",
    "-c -o cluster_size=4k",
    "-c -o compression_type=zstd",
    "-c -o cluster_size=512,compat=0.10",
    "-o extended_l2=on,cluster_size=128k",
    "-c -o extended_l2=on,cluster_size=16k",
];

#[test]
fn random_changes_of_every_shape_are_what_qemu_reads() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    for (seed, shape) in (1..).zip(SHAPES) {
        let mut random = Random(seed);
        let mut disk = disk(&mut random, (5 << 20) + 1536);
        fs::write(folder.path("disk"), &disk).unwrap();
        folder.run(&format!("qemu-img convert -f raw -O qcow2 {shape} @disk @it"));
        exercise(&folder, &mut disk, &writing(), seed, shape);
    }
}

#[test]
fn internal_snapshots_stay_as_they_are() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    for (seed, shape) in (100..).zip([
        "",
        "-o cluster_size=512",
        "-o compat=0.10",
        "-c",
        "-c -o cluster_size=4k,refcount_bits=32",
        "-o lazy_refcounts=on",
        "-o extended_l2=on,cluster_size=32k",
    ]) {
        let mut random = Random(seed);
        let mut disk = disk(&mut random, (3 << 20) + 512);
        fs::write(folder.path("disk"), &disk).unwrap();
        folder.run(&format!("qemu-img convert -f raw -O qcow2 {shape} @disk @it"));
        let mut kept = Vec::new();
        for name in ["one", "two", "three"] {
            folder.run(&format!("qemu-img snapshot -c {name} @it"));
            kept.push((name, disk.clone()));
            let what = format!("{shape}, with snapshot {name}");
            exercise(&folder, &mut disk, &writing(), seed, &what);
        }
        for (name, was) in kept {
            let take = "qemu-img convert -f qcow2 -O raw -l";
            folder.run(&format!("{take} snapshot.name={name} @it @snapshot"));
            assert!(fs::read(folder.path("snapshot")).unwrap() == was, "{shape}: {name}");
            // QEMU frees what only the snapshot used.
            folder.run(&format!("qemu-img snapshot -d {name} @it"));
            folder.judge(&disk, shape);
        }
    }
}

#[test]
fn backing_files_are_read_when_asked_for_and_never_written() {
    if !need_program("qemu-img") || !need_program("qemu-io") {
        return;
    }
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    for (seed, shape) in (200..).zip([
        "-o compat=1.1",
        "-o compat=0.10",
        "-o cluster_size=512",
        "-o cluster_size=2M",
        "-o extended_l2=on",
    ]) {
        let mut random = Random(seed);
        let mut disk = disk(&mut random, 3 << 20);
        fs::write(folder.path("sub/base.raw"), &disk).unwrap();
        folder.run("qemu-img convert -c -f raw -O qcow2 @sub/base.raw @sub/base.qcow2");
        // The middle is larger than its base, the top larger than the middle, and each names the
        // one below from its own folder.
        folder.run("qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 @sub/middle 4M");
        folder.run(&format!("qemu-img create -q -f qcow2 {shape} -F qcow2 -b sub/middle @it 5M"));
        disk.resize(5 << 20, 0);
        let below = [
            fs::read(folder.path("sub/middle")).unwrap(),
            fs::read(folder.path("sub/base.qcow2")).unwrap(),
        ];

        let error = DiskImage::open(&folder.path("it"), &writing()).unwrap_err();
        assert!(error.to_string().ends_with("it needs its backing file `sub/middle`"), "{error}");
        let options = OpenOptions { backing: Backing::Follow, ..writing() };
        {
            let image = DiskImage::open(&folder.path("it"), &options).unwrap();
            let layers = &image.info().layers;
            assert_eq!(layers.len(), 3);
            assert_eq!(layers[1].path, folder.path("sub/middle"));
            assert_eq!(
                (&layers[2].path, layers[2].format),
                (&folder.path("sub/base.qcow2"), FormatName::Qcow2)
            );
        }
        exercise(&folder, &mut disk, &options, seed, shape);
        assert_eq!(below[0], fs::read(folder.path("sub/middle")).unwrap());
        assert_eq!(below[1], fs::read(folder.path("sub/base.qcow2")).unwrap());
    }
}
