// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An overlay against a plain vector of bytes.

use super::*;
use crate::device::RawFile;

/// Knuth's MMIX numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 24) % n
    }
}

fn base(bytes: &[u8]) -> RawFile {
    use std::os::unix::fs::FileExt;
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    RawFile::new(file).unwrap()
}

fn all(device: &mut impl Device) -> Vec<u8> {
    let mut out = vec![0xee; usize::try_from(device.size()).unwrap()];
    device.read_at(0, &mut out).unwrap();
    out
}

/// What the runs of changes say, over what was there.
fn replay(overlay: &mut Overlay<RawFile>, old: &[u8]) -> Vec<u8> {
    let mut out = old.to_vec();
    out.resize(usize::try_from(overlay.size()).unwrap(), 0);
    let mut at = 0;
    while let Some(change) = overlay.next_change(at) {
        assert!(change.at >= at && change.len > 0);
        let range =
            usize::try_from(change.at).unwrap()..usize::try_from(change.at + change.len).unwrap();
        if change.zeros {
            out[range].fill(0);
        } else {
            overlay.read_at(change.at, &mut out[range]).unwrap();
        }
        at = change.at + change.len;
    }
    out
}

#[test]
fn random_writes_discards_and_sizes_agree_with_a_vector() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let len = 200_000 + random.below(100_000);
        let old: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut model = old.clone();
        let mut overlay = Overlay::new(base(&old), PathBuf::from("/tmp"));
        for _ in 0..120 {
            let size = len64(&model);
            let at = random.below(size);
            let most = if random.below(3) == 0 { 40_000 } else { 5000 };
            let len = random.below(most).min(size - at);
            let range = index(at)..index(at + len);
            match random.below(16) {
                0 => {
                    let size = 150_000 + random.below(150_000);
                    overlay.resize(size).unwrap();
                    model.resize(index(size), 0);
                }
                1..8 => {
                    let byte = u8::try_from(random.below(256)).unwrap();
                    overlay.write_at(at, &vec![byte; index(len)]).unwrap();
                    model[range].fill(byte);
                }
                8..13 => {
                    overlay.discard(at, len).unwrap();
                    model[range].fill(0);
                }
                _ => {
                    let mut got = vec![1; index(len)];
                    overlay.read_at(at, &mut got).unwrap();
                    assert!(got == model[range], "seed {seed}");
                }
            }
        }
        assert!(all(&mut overlay) == model, "seed {seed}");
        assert!(replay(&mut overlay, &old) == model, "seed {seed}");
        let mut at = 0;
        while at < overlay.size() {
            let extent = overlay.extent(at).unwrap();
            let range = index(at)..index(at + extent.len);
            assert!(!extent.zeros || model[range].iter().all(|&b| b == 0), "seed {seed}");
            at += extent.len;
        }
        overlay.clear();
        assert!(!overlay.is_changed() && all(&mut overlay) == old, "seed {seed}");
    }
}

#[test]
fn many_changes_go_into_a_file() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(256 << 20).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut overlay = Overlay::new(RawFile::new(file).unwrap(), folder.path().to_owned());
    for n in 0..100_u8 {
        overlay.write_at(u64::from(n) << 20, &vec![n; 1 << 20]).unwrap();
    }
    for n in 0..100_u8 {
        let mut got = vec![0xee; (1 << 20) + 1];
        overlay.read_at(u64::from(n) << 20, &mut got).unwrap();
        assert!(got[..1 << 20].iter().all(|&b| b == n), "{n}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
    assert_eq!(overlay.next_change(0), Some(Change { at: 0, len: 4 << 20, zeros: false }));
    assert_eq!(overlay.next_change(100 << 20), None);
}

#[test]
fn a_disk_of_terabytes_is_discarded_at_once() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(10 << 40).unwrap();
    let mut overlay = Overlay::new(RawFile::new(file).unwrap(), PathBuf::from("/tmp"));
    overlay.discard(1, (10 << 40) - 1).unwrap();
    overlay.write_at(5 << 40, b"x").unwrap();
    assert_eq!(overlay.zeros.0.len(), 2);
    assert_eq!(overlay.data.len(), 2);
}

#[test]
fn what_must_not_be_written_is_not() {
    let mut overlay = Overlay::new(base(&[1; 4096]), PathBuf::from("/tmp"));
    assert_eq!(overlay.write_at(4000, &[0; 97]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(overlay.discard(4096, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    overlay.forbid_writing();
    assert_eq!(overlay.write_at(0, b"x").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(overlay.discard(0, 1).unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    assert!(!overlay.is_changed());
}
