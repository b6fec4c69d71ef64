// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A write-back cache between libext2fs and the device.
//!
//! libext2fs reads and writes an inode table's block for each of its 16 inodes; here they meet in
//! memory and go out in long runs. File data goes past it.

use std::collections::BTreeMap;
use std::io;

use crate::device::{Device, len64};

/// Bytes of a page.
const PAGE: u64 = 4096;
const PAGE_LEN: usize = 4096;
/// Transfers longer than this go past the cache.
const DIRECT: usize = 4 * PAGE_LEN;
/// Pages held before all are written out and forgotten: 64 MiB.
const MOST_PAGES: usize = 16_384;
/// Bytes written at a time when pages go out.
const RUN: usize = 1 << 20;

#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    dirty: bool,
}

/// A device with pages of it held in memory.
#[derive(Debug)]
pub(super) struct Cache {
    device: Box<dyn Device>,
    /// By page number.
    pages: BTreeMap<u64, Page>,
    /// The last error of the device, kept for the caller of libext2fs, which knows only numbers.
    pub(super) error: Option<io::Error>,
    /// Why zeros could not be written, until the next flush.
    zeros: Option<io::Error>,
}

impl Cache {
    pub(super) fn new(device: Box<dyn Device>) -> Self {
        Self { device, pages: BTreeMap::new(), error: None, zeros: None }
    }

    /// Returns the device. What was not written out is lost.
    pub(super) fn into_device(self) -> Box<dyn Device> {
        self.device
    }

    /// Returns the size of the device in bytes.
    pub(super) fn size(&self) -> u64 {
        self.device.size()
    }

    /// Fills `buf` from byte `at` on.
    pub(super) fn read(&mut self, mut at: u64, mut buf: &mut [u8]) -> io::Result<()> {
        self.check_end(at, buf.len())?;
        while !buf.is_empty() {
            let (page, from, len) = first_part(at, buf.len());
            let (part, rest) = buf.split_at_mut(len);
            if let Some(held) = self.pages.get(&page) {
                part.copy_from_slice(&held.bytes[from..from + len]);
            } else if part.len() + rest.len() > DIRECT {
                self.device.read_at(at, part)?;
            } else {
                let held = self.page(page)?;
                part.copy_from_slice(&held.bytes[from..from + len]);
            }
            at += len64(part);
            buf = rest;
        }
        Ok(())
    }

    /// Writes `bytes` from byte `at` on, sooner or later.
    pub(super) fn write(&mut self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        self.check_end(at, bytes.len())?;
        if bytes.len() > DIRECT && at.is_multiple_of(PAGE) && len64(bytes).is_multiple_of(PAGE) {
            return self.write_through(at, bytes);
        }
        while !bytes.is_empty() {
            let (page, from, len) = first_part(at, bytes.len());
            let (part, rest) = bytes.split_at(len);
            let held = self.page(page)?;
            // libext2fs writes all bitmaps and group descriptors of which one has changed.
            if held.bytes[from..from + len] != *part {
                held.bytes[from..from + len].copy_from_slice(part);
                held.dirty = true;
            }
            at += len64(part);
            bytes = rest;
        }
        Ok(())
    }

    /// Returns an error if this is not all on the device, whose last page may be a short one.
    fn check_end(&self, at: u64, len: usize) -> io::Result<()> {
        let end = u64::try_from(len).ok().and_then(|len| at.checked_add(len));
        match end {
            Some(end) if end <= self.device.size() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Forgets pages if there are too many: unchanged ones, and all if that is not enough.
    fn make_room(&mut self) -> io::Result<()> {
        if self.pages.len() < MOST_PAGES {
            return Ok(());
        }
        self.pages.retain(|_, page| page.dirty);
        if self.pages.len() > MOST_PAGES / 2 {
            self.write_out()?;
            self.pages.clear();
        }
        Ok(())
    }

    /// Writes `len` zeros. What goes wrong is told by the next [`Cache::flush`].
    pub(super) fn write_zeros(&mut self, at: u64, len: u64) {
        const ZEROS: [u8; PAGE_LEN] = [0; PAGE_LEN];
        let mut done = 0;
        while done < len && self.zeros.is_none() {
            let part = usize::try_from(len - done).map_or(PAGE_LEN, |n| n.min(PAGE_LEN));
            self.zeros = self.write(at.saturating_add(done), &ZEROS[..part]).err();
            done += len64(&ZEROS[..part]);
        }
    }

    /// Writes `bytes` to the device at once. `at` and the length are multiples of a page.
    pub(super) fn write_through(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let pages = at / PAGE..at / PAGE + len64(bytes) / PAGE;
        let held: Vec<u64> = self.pages.range(pages).map(|(&page, _)| page).collect();
        for page in held {
            self.pages.remove(&page);
        }
        self.device.write_at(at, bytes)
    }

    /// Writes every changed page to the device, in order, and flushes the device.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.zeros.take() {
            return Err(error);
        }
        self.write_out()?;
        self.device.flush()
    }

    fn write_out(&mut self) -> io::Result<()> {
        let size = self.device.size();
        let mut run: Vec<u8> = Vec::with_capacity(RUN);
        let mut start = 0;
        for (&page, held) in self.pages.iter_mut().filter(|(_, held)| held.dirty) {
            if run.len() >= RUN || start + len64(&run) != page * PAGE {
                if !run.is_empty() {
                    self.device.write_at(start, &run)?;
                }
                run.clear();
                start = page * PAGE;
            }
            let len = usize::try_from(size - page * PAGE).map_or(PAGE_LEN, |n| n.min(PAGE_LEN));
            run.extend_from_slice(&held.bytes[..len]);
            held.dirty = false;
        }
        if !run.is_empty() {
            self.device.write_at(start, &run)?;
        }
        Ok(())
    }

    /// Returns the page, read from the device if it is not held.
    fn page(&mut self, page: u64) -> io::Result<&mut Page> {
        if !self.pages.contains_key(&page) {
            self.make_room()?;
            let at = page.checked_mul(PAGE).filter(|&at| at < self.device.size());
            let at = at.ok_or(io::ErrorKind::UnexpectedEof)?;
            let mut bytes = vec![0; PAGE_LEN];
            let len =
                usize::try_from(self.device.size() - at).map_or(PAGE_LEN, |n| n.min(PAGE_LEN));
            self.device.read_at(at, &mut bytes[..len])?;
            self.pages.insert(page, Page { bytes: bytes.into(), dirty: false });
        }
        Ok(self.pages.get_mut(&page).expect("it was there, or has just been put there"))
    }
}

/// Returns the page that byte `at` is in, where in it, and how many of `len` bytes are in it.
fn first_part(at: u64, len: usize) -> (u64, usize, usize) {
    let from = usize::try_from(at % PAGE).expect("less than a page");
    (at / PAGE, from, len.min(PAGE_LEN - from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::RawFile;

    fn cache(size: u64) -> (Cache, std::fs::File) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        let device = RawFile::new(file.try_clone().unwrap()).unwrap();
        (Cache::new(Box::new(device)), file)
    }

    #[test]
    fn any_mix_of_transfers_reads_back_as_from_a_plain_array() {
        // A size that is no multiple of a page: the last page is short.
        const SIZE: usize = 300_000;
        let (mut cache, file) = cache(300_000);
        let mut model = vec![0_u8; SIZE];
        let mut random = 12_345_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(random >> 33).unwrap() % below
        };
        for round in 0..2000 {
            let long = next(4) == 0;
            let mut at = next(SIZE);
            let mut len = next(if long { 100_000 } else { 6000 }).min(SIZE - at);
            if long {
                at -= at % PAGE_LEN;
                len -= len % PAGE_LEN;
            }
            if next(2) == 0 {
                let bytes: Vec<u8> = (0..len).map(|_| u8::try_from(next(256)).unwrap()).collect();
                cache.write(at as u64, &bytes).unwrap();
                model[at..at + len].copy_from_slice(&bytes);
            } else {
                let mut got = vec![0; len];
                cache.read(at as u64, &mut got).unwrap();
                assert!(got == model[at..at + len], "round {round}");
            }
        }
        cache.flush().unwrap();
        let mut got = vec![0; SIZE];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut got, 0).unwrap();
        assert!(got == model);
        assert_eq!(file.metadata().unwrap().len(), 300_000);
    }

    #[test]
    fn nothing_is_read_or_written_past_the_end() {
        let (mut cache, _file) = cache(8192);
        let mut buf = [0; 512];
        assert!(cache.read(8192, &mut buf).is_err());
        assert!(cache.read(u64::MAX - 10, &mut buf[..4]).is_err());
        assert!(cache.write(8192, &[1; 4096]).is_err());
        let (mut short, _file) = self::cache(5000);
        assert!(short.read(4900, &mut buf[..100]).is_ok());
        assert!(short.read(4900, &mut buf[..101]).is_err());
        assert!(short.write(4901, &[1; 100]).is_err());
    }
}
