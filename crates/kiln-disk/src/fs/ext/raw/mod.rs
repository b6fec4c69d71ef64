// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libext2fs with Rust's types: every call into C is here, and checked.
//!
//! **Invariant:** `fs` is a file system that `ext2fs_open2` made and nothing has freed; every
//! buffer handed over is as long as libext2fs takes it to be (a block, or an inode of the size in
//! the superblock).
#![expect(unsafe_code, reason = "the calls into libext2fs")]

mod superblock;
mod xattr;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;
use std::sync::{Mutex, Once, PoisonError};

use super::cache::Cache;
use super::channel::{self, Shared};
use super::dir::Hashing;
use super::error::ExtError;
use super::ffi;
use super::inode::{EXTENTS_FL, Inode};
use super::superblock::check as superblock_check;
use crate::device::Device;

/// Codes below this are errnos: com_err's tables begin at 2^8.
const FIRST_TABLE: i64 = 256;

/// The most blocks whose bitmap is an array, 128 MiB of it: 4 TiB of blocks of 4 KiB.
const MOST_ARRAY: u64 = 1 << 30;

/// A run of blocks of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    /// First block on the device.
    pub(super) block: u64,
    /// How many blocks of the file lie there in a row.
    pub(super) count: u64,
}

/// An open file system.
#[derive(Debug)]
pub(super) struct Raw {
    fs: ffi::Fs,
    pub(super) cache: Shared,
    inode_size: usize,
    write: bool,
}

impl Raw {
    /// Opens the file system that fills `device`.
    pub(super) fn open(device: Box<dyn Device>, write: bool) -> Result<Self, ExtError> {
        Self::open_cached(&Rc::new(RefCell::new(Cache::new(device))), write)
    }

    /// Opens it for reading. The cache holds the device, whether that succeeded or not.
    pub(super) fn open_or_give_back(device: Box<dyn Device>) -> (Shared, Result<Self, ExtError>) {
        let cache = Rc::new(RefCell::new(Cache::new(device)));
        let raw = Self::open_cached(&cache, false);
        (cache, raw)
    }

    fn open_cached(cache: &Shared, write: bool) -> Result<Self, ExtError> {
        static TABLES: Once = Once::new();
        // SAFETY: adds libext2fs's messages to com_err's list, once, and takes the place of the
        // function that would print to our standard error what is wrong with a damaged image.
        TABLES.call_once(|| unsafe {
            ffi::initialize_ext2_error_table();
            ffi::set_com_err_hook(keep_quiet);
        });
        superblock_check(&mut cache.borrow_mut())?;
        channel::offer(Rc::clone(cache));
        let flags = ffi::FLAG_64BITS | if write { ffi::FLAG_RW } else { 0 };
        let mut fs: ffi::Fs = ptr::null_mut();
        // SAFETY: all pointers are to live values; libext2fs keeps only the manager, a static.
        let code = unsafe {
            let name = c"kiln".as_ptr();
            ffi::ext2fs_open2(name, ptr::null(), flags, 0, 0, channel::manager(), &raw mut fs)
        };
        check(cache, code, "open the ext file system")?;
        let mut raw = Self { fs, cache: Rc::clone(cache), inode_size: 128, write };
        // The revision is at 0x4c; in revision 0 all inodes have 128 bytes.
        if raw.super32(0x4c) > 0 {
            raw.inode_size = usize::from(raw.super16(0x58));
        }
        Ok(raw)
    }

    /// Returns which bytes are in use, in order. The bitmaps have been read.
    pub(super) fn used_bytes(&mut self) -> Result<Vec<Range<u64>>, ExtError> {
        type Find = unsafe extern "C" fn(*mut c_void, u64, u64, *mut u64) -> ffi::Code;
        // SAFETY: see the invariant.
        let map = unsafe { (*self.fs).block_map };
        let end = self.wide(0x04, 0x150);
        let find = |from: u64, find: Find| {
            let mut at = end;
            // SAFETY: both functions check that the numbers are within the map.
            let code = unsafe { find(map, from, end - 1, &raw mut at) };
            let none = code == ffi::Code::from(rustix::io::Errno::NOENT.raw_os_error());
            if none { Ok(end) } else { self.check(code, "read the block bitmaps").map(|()| at) }
        };
        let block = self.block64();
        // What is before the first block, the boot sector of a file system of 1 KiB blocks, is
        // nobody's.
        let mut at = u64::from(self.super32(0x14));
        let mut used = Vec::new();
        while at < end {
            let start = find(at, ffi::ext2fs_find_first_set_generic_bmap)?.max(at);
            if start >= end {
                break;
            }
            at = find(start, ffi::ext2fs_find_first_zero_generic_bmap)?.max(start + 1).min(end);
            used.push(start * block..at * block);
        }
        Ok(used)
    }

    /// Closes the file system, without a write, and returns its device.
    pub(super) fn into_device(self) -> Result<Box<dyn Device>, ExtError> {
        let cache = Rc::clone(&self.cache);
        // libext2fs's channel holds the other one.
        drop(self);
        let in_use = || ExtError::Io {
            doing: "close the file system",
            source: io::ErrorKind::ResourceBusy.into(),
        };
        Ok(Rc::try_unwrap(cache).map_err(|_| in_use())?.into_inner().into_device())
    }

    fn check(&self, code: ffi::Code, doing: &'static str) -> Result<(), ExtError> {
        check(&self.cache, code, doing)
    }

    /// Reads the bitmaps of free blocks and inodes: needed before anything is allocated.
    pub(super) fn read_bitmaps(&mut self) -> Result<(), ExtError> {
        // A tree of runs, which libext2fs takes else, grows with what a hostile image says: 64
        // bytes for every other block.
        let blocks = self.wide(0x04, 0x150);
        // SAFETY: see the invariant.
        let code = unsafe {
            if blocks <= MOST_ARRAY {
                (*self.fs).default_bitmap_type = ffi::BMAP64_BITARRAY;
            }
            ffi::ext2fs_read_bitmaps(self.fs)
        };
        self.check(code, "read the block bitmaps")
    }

    /// Sets what libext2fs takes for the present time, in seconds; 0 would mean the clock.
    pub(super) fn set_now(&mut self, now: i64) {
        // SAFETY: see the invariant.
        unsafe { (*self.fs).now = now.max(1) };
    }

    /// Tells libext2fs that no inode table needs to be zeroed any more.
    pub(super) fn set_tables_zeroed(&mut self) {
        // SAFETY: see the invariant; group numbers are below the count.
        unsafe {
            for group in 0..(*self.fs).group_desc_count {
                ffi::ext2fs_bg_flags_set(self.fs, group, ffi::BG_INODE_ZEROED);
                ffi::ext2fs_group_desc_csum_set(self.fs, group);
            }
            (*self.fs).flags |= ffi::FLAG_DIRTY;
        }
    }

    /// Returns an error unless the file system was opened for writing: without its bitmaps
    /// libext2fs would follow a null pointer.
    fn check_write(&self) -> Result<(), ExtError> {
        if self.write {
            return Ok(());
        }
        Err(ExtError::ReadOnly { why: "it was opened for reading".to_owned() })
    }

    /// Returns an inode of zeros of the right size.
    pub(super) fn blank_inode(&self) -> Inode {
        Inode::zeroed(self.inode_size)
    }

    pub(super) fn read_inode(&self, ino: u32) -> Result<Inode, ExtError> {
        let mut inode = self.blank_inode();
        let len = c_int::try_from(inode.len()).expect("an inode is at most a block");
        // SAFETY: the buffer is `len` bytes long and aligned.
        let code = unsafe { ffi::ext2fs_read_inode_full(self.fs, ino, inode.as_mut_ptr(), len) };
        self.check(code, "read an inode")?;
        Ok(inode)
    }

    pub(super) fn write_inode(&mut self, ino: u32, inode: &mut Inode) -> Result<(), ExtError> {
        self.check_write()?;
        let len = c_int::try_from(inode.len()).expect("an inode is at most a block");
        // SAFETY: the buffer is `len` bytes long and aligned.
        let code = unsafe { ffi::ext2fs_write_inode_full(self.fs, ino, inode.as_mut_ptr(), len) };
        self.check(code, "write an inode")
    }

    /// Sets the size, and the file system's flag for large files if it takes one.
    pub(super) fn set_size(&mut self, inode: &mut Inode, size: u64) -> Result<(), ExtError> {
        // SAFETY: only the first 128 bytes are touched.
        let code = unsafe { ffi::ext2fs_inode_size_set(self.fs, inode.as_mut_ptr(), size) };
        self.check(code, "set a file's size")
    }

    /// Takes a free inode, near the directory `near`.
    pub(super) fn take_inode(&mut self, near: u32, directory: bool) -> Result<u32, ExtError> {
        self.check_write()?;
        let mut ino = 0;
        let mode = if directory { 0o040_755 } else { 0o100_644 };
        // SAFETY: `map` may be null (the file system's own map); the rest is live.
        let code = unsafe {
            let map = ptr::null_mut();
            ffi::ext2fs_new_inode(self.fs, near, mode, map, &raw mut ino)
        };
        self.check(code, "find a free inode")?;
        // SAFETY: `ino` is an inode of this file system, just found.
        unsafe { ffi::ext2fs_inode_alloc_stats2(self.fs, ino, 1, c_int::from(directory)) };
        Ok(ino)
    }

    /// Gives an inode back.
    pub(super) fn free_inode(&mut self, ino: u32, directory: bool) {
        // SAFETY: `ino` is in use, as its caller has read it.
        unsafe { ffi::ext2fs_inode_alloc_stats2(self.fs, ino, -1, c_int::from(directory)) };
    }

    /// Makes an empty extent tree in `inode`, if this file system has extents.
    pub(super) fn init_blocks(&mut self, ino: u32, inode: &mut Inode) -> Result<(), ExtError> {
        const FEATURE_EXTENTS: u32 = 0x40;
        if self.super32(0x60) & FEATURE_EXTENTS == 0 {
            return Ok(());
        }
        inode.set_flags(inode.flags() | EXTENTS_FL);
        let mut handle = ptr::null_mut();
        // SAFETY: an inode with the flag and zeros for extents gets an empty tree's header.
        unsafe {
            let code = ffi::ext2fs_extent_open2(self.fs, ino, inode.as_mut_ptr(), &raw mut handle);
            self.check(code, "make an extent tree")?;
            ffi::ext2fs_extent_free(handle);
        }
        Ok(())
    }

    /// Takes blocks for `count` blocks of the file from `start` on. `inode` is written as well.
    pub(super) fn allocate(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        start: u64,
        count: u64,
    ) -> Result<(), ExtError> {
        self.check_write()?;
        // libext2fs leaves blocks behind that belong to nobody if it runs out of them on the way:
        // there must be enough, with those of the extent tree (84 extents in a block of 1 KiB).
        if self.free_blocks() < count.saturating_add(count / 80 + 8) {
            return Err(ExtError::NoBlocks);
        }
        // SAFETY: `inode` is that of `ino`, and longer than the 128 bytes used.
        let code = unsafe {
            let (flags, goal) = (ffi::FALLOCATE_FORCE_INIT, u64::MAX);
            ffi::ext2fs_fallocate(self.fs, flags, ino, inode.as_mut_ptr(), goal, start, count)
        };
        self.check(code, "take blocks for a file")
    }

    /// Gives back the blocks of the file from block `start` on. `inode` is written as well.
    pub(super) fn release(
        &mut self,
        ino: u32,
        inode: &mut Inode,
        start: u64,
    ) -> Result<(), ExtError> {
        self.check_write()?;
        // SAFETY: `block_buf` may be null; `inode` is that of `ino`.
        let code = unsafe {
            let inode = inode.as_mut_ptr();
            ffi::ext2fs_punch(self.fs, ino, inode, ptr::null_mut(), start, u64::MAX)
        };
        self.check(code, "free the blocks of a file")
    }

    /// Returns where block `block` of the file lies, and how many more do right after it.
    pub(super) fn map(
        &self,
        ino: u32,
        inode: &mut Inode,
        block: u64,
    ) -> Result<Option<Mapped>, ExtError> {
        if inode.flags() & EXTENTS_FL == 0 {
            let mut at = 0;
            // SAFETY: `block_buf` and `ret_flags` may be null.
            let code = unsafe {
                let (buf, flags) = (ptr::null_mut(), ptr::null_mut());
                let inode = inode.as_mut_ptr();
                ffi::ext2fs_bmap2(self.fs, ino, inode, buf, 0, block, flags, &raw mut at)
            };
            self.check(code, "find a block of a file")?;
            return Ok((at != 0).then_some(Mapped { block: at, count: 1 }));
        }
        let mut handle = ptr::null_mut();
        let mut extent = ffi::Extent::default();
        // SAFETY: the handle is freed before anything else happens to the inode.
        let (code, found) = unsafe {
            let code = ffi::ext2fs_extent_open2(self.fs, ino, inode.as_mut_ptr(), &raw mut handle);
            self.check(code, "read an extent tree")?;
            let mut code = ffi::ext2fs_extent_goto(handle, block);
            let found = code == 0;
            if found {
                code = ffi::ext2fs_extent_get(handle, ffi::EXTENT_CURRENT, &raw mut extent);
            }
            ffi::ext2fs_extent_free(handle);
            (code, found)
        };
        if !found {
            return Ok(None);
        }
        self.check(code, "read an extent")?;
        let into = block.checked_sub(extent.logical).filter(|&n| n < u64::from(extent.len));
        Ok(into.filter(|_| extent.flags & ffi::EXTENT_UNINIT == 0).map(|into| Mapped {
            block: extent.physical + into,
            count: u64::from(extent.len) - into,
        }))
    }

    /// Returns which blocks of a file its extents hold, in their order: written or only set
    /// aside. `None` if there are more than `most`.
    pub(super) fn extents(
        &self,
        ino: u32,
        inode: &mut Inode,
        most: usize,
    ) -> Result<Option<Vec<Range<u64>>>, ExtError> {
        let (mut found, mut handle) = (Vec::new(), ptr::null_mut());
        let mut extent = ffi::Extent::default();
        // SAFETY: the handle is freed before anything else happens to the inode.
        let code = unsafe {
            let code = ffi::ext2fs_extent_open2(self.fs, ino, inode.as_mut_ptr(), &raw mut handle);
            self.check(code, "read an extent tree")?;
            let mut code = ffi::ext2fs_extent_get(handle, ffi::EXTENT_ROOT, &raw mut extent);
            // A node is come by twice, before what is in it and after.
            for _ in 0..most.saturating_mul(3) {
                if code != 0 {
                    break;
                }
                if extent.flags & ffi::EXTENT_LEAF != 0 {
                    let end = extent.logical.saturating_add(extent.len.into());
                    found.push(extent.logical..end);
                }
                code = ffi::ext2fs_extent_get(handle, ffi::EXTENT_NEXT, &raw mut extent);
            }
            ffi::ext2fs_extent_free(handle);
            code
        };
        if code != ffi::EXTENT_NO_NEXT {
            self.check(code, "read an extent tree")?;
            return Ok(None);
        }
        Ok((found.len() <= most).then_some(found))
    }

    /// Reads one block of a directory, and checks its checksum.
    pub(super) fn read_dir_block(&self, ino: u32, at: u64) -> Result<Vec<u8>, ExtError> {
        let mut block = vec![0; self.block_size()];
        // SAFETY: the buffer is one block long.
        let code = unsafe {
            let buf = block.as_mut_ptr().cast();
            ffi::ext2fs_read_dir_block4(self.fs, at, buf, 0, ino)
        };
        self.check(code, "read a directory")?;
        Ok(block)
    }

    /// Returns the hash of a name; its lowest bit is not set.
    pub(super) fn hash(&self, name: &[u8], hashing: Hashing) -> Result<u32, ExtError> {
        let (mut hash, mut minor) = (0, 0);
        // Three more is the same with unsigned bytes.
        let version = c_int::from(hashing.version) + if hashing.unsigned { 3 } else { 0 };
        let len = c_int::try_from(name.len()).expect("a name has at most 255 bytes");
        // SAFETY: name and seed are as long as is said, and only read.
        let code = unsafe {
            let (name, seed) = (name.as_ptr().cast(), hashing.seed.as_ptr());
            ffi::ext2fs_dirhash(version, name, len, seed, &raw mut hash, &raw mut minor)
        };
        self.check(code, "hash a name")?;
        Ok(hash)
    }

    /// Writes one block of a directory, with its checksum.
    pub(super) fn write_dir_block(
        &mut self,
        ino: u32,
        at: u64,
        block: &mut [u8],
    ) -> Result<(), ExtError> {
        debug_assert_eq!(block.len(), self.block_size());
        // SAFETY: the buffer is one block long.
        let code = unsafe {
            let buf = block.as_mut_ptr().cast();
            ffi::ext2fs_write_dir_block4(self.fs, at, buf, 0, ino)
        };
        self.check(code, "write a directory")
    }

    /// Fills `buf` from `into` bytes after the beginning of a block of the device on.
    pub(super) fn read_blocks(
        &self,
        block: u64,
        into: u64,
        buf: &mut [u8],
    ) -> Result<(), ExtError> {
        let doing = "read a file's contents";
        let at = block.checked_mul(self.block64()).and_then(|at| at.checked_add(into));
        let past = || ExtError::Io { doing, source: io::ErrorKind::UnexpectedEof.into() };
        let read = self.cache.borrow_mut().read(at.ok_or_else(past)?, buf);
        read.map_err(|source| ExtError::Io { doing, source })
    }

    /// Writes bytes from `into` bytes after the beginning of a block of the device on.
    pub(super) fn write_block(
        &mut self,
        block: u64,
        into: u64,
        bytes: &[u8],
    ) -> Result<(), ExtError> {
        self.check_write()?;
        let doing = "write a block";
        let at = block.checked_mul(self.block64()).and_then(|at| at.checked_add(into));
        let past = || ExtError::Io { doing, source: io::ErrorKind::UnexpectedEof.into() };
        let written = self.cache.borrow_mut().write(at.ok_or_else(past)?, bytes);
        written.map_err(|source| ExtError::Io { doing, source })
    }

    /// Writes superblock, group descriptors, bitmaps and the cache to the device; nothing if
    /// nothing has changed.
    pub(super) fn flush(&mut self) -> Result<(), ExtError> {
        // SAFETY: see the invariant.
        let code = unsafe {
            if (*self.fs).flags & ffi::FLAG_ANY_CHANGE == 0 {
                return Ok(());
            }
            ffi::ext2fs_flush2(self.fs, ffi::FLUSH_NO_SYNC)
        };
        self.check(code, "write the superblock")?;
        let flushed = self.cache.borrow_mut().flush();
        flushed.map_err(|source| ExtError::Io { doing: "write the file system", source })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the only place that frees it. Nothing is written: `ext2fs_free` does not flush.
        unsafe { ffi::ext2fs_free(self.fs) };
    }
}

/// Returns the CRC-32C of `bytes`, which follow what gave `sum`; nothing is inverted.
pub(super) fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the buffer is as long as is said, and only read.
    unsafe { ffi::ext2fs_crc32c_le(sum, bytes.as_ptr(), bytes.len()) }
}

/// Returns the CRC-32 of `bytes` in the order of bits that old journals use.
pub(super) fn crc32_be(sum: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the buffer is as long as is said, and only read.
    unsafe { ffi::ext2fs_crc32_be(sum, bytes.as_ptr(), bytes.len()) }
}

fn check(cache: &Shared, code: ffi::Code, doing: &'static str) -> Result<(), ExtError> {
    let kept = cache.borrow_mut().error.take();
    match code {
        0 => Ok(()),
        ffi::BLOCK_ALLOC_FAIL => Err(ExtError::NoBlocks),
        ffi::INODE_ALLOC_FAIL => Err(ExtError::NoInodes),
        ffi::EA_NO_SPACE => Err(ExtError::XattrsTooLarge),
        code if code < FIRST_TABLE => {
            let number = i32::try_from(code).unwrap_or_default();
            let source = kept.unwrap_or_else(|| io::Error::from_raw_os_error(number));
            Err(ExtError::Io { doing, source })
        }
        code => Err(ExtError::Library { doing, code, text: message(code) }),
    }
}

/// Returns what com_err says of `code`.
fn message(code: ffi::Code) -> String {
    // For a code of no table the text is in one static buffer.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: never null, and a string that stays as it is while the lock is held.
    unsafe { CStr::from_ptr(ffi::error_message(code)) }.to_string_lossy().into_owned()
}

/// A library does not print; what matters comes back as an error's number.
unsafe extern "C" fn keep_quiet(_: *const c_char, _: ffi::Code, _: *const c_char, _: *mut c_void) {}
