// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Declarations of the part of libext2fs that is used here.
//!
//! Source: `ext2fs/ext2fs.h`, `ext2fs/ext2_io.h`, `ext2fs/ext2_err.et` of e2fsprogs 1.47.0 to
//! 1.47.2. [`Filsys`] is the beginning of `struct struct_ext2_filsys`, which has been the same
//! since 1.42 (`default_bitmap_type` is its last member here; the rest is never touched).

#![expect(unsafe_code, reason = "declarations of C functions")]

use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_ulonglong, c_void};

// In-memory superblocks and inodes are read by byte offset, as they are on disk.
const _: () = assert!(cfg!(target_endian = "little"), "kiln-disk runs on little-endian hosts");

/// `errcode_t`: 0, an errno, or a code of one of com_err's tables.
pub(super) type Code = c_long;

/// `EXT2_ET_MAGIC_IO_CHANNEL`.
pub(super) const MAGIC_IO_CHANNEL: Code = 2_133_571_333;
/// `EXT2_ET_MAGIC_IO_MANAGER`.
pub(super) const MAGIC_IO_MANAGER: Code = 2_133_571_335;
/// `EXT2_ET_BLOCK_ALLOC_FAIL`: no free block.
pub(super) const BLOCK_ALLOC_FAIL: Code = 2_133_571_400;
/// `EXT2_ET_INODE_ALLOC_FAIL`: no free inode.
pub(super) const INODE_ALLOC_FAIL: Code = 2_133_571_401;
/// `EXT2_ET_EA_NO_SPACE`: the extended attributes do not fit.
pub(super) const EA_NO_SPACE: Code = 2_133_571_491;

/// `EXT2_ET_EXTENT_NO_NEXT`: an extent tree has no more.
pub(super) const EXTENT_NO_NEXT: Code = 2_133_571_452;

/// `EXT2_FLAG_RW`.
pub(super) const FLAG_RW: c_int = 0x01;
/// `EXT2_FLAG_64BITS`.
pub(super) const FLAG_64BITS: c_int = 0x2_0000;
/// `EXT2_FLAG_CHANGED | EXT2_FLAG_DIRTY`.
pub(super) const FLAG_DIRTY: c_int = 0x06;
/// `EXT2_FLAG_CHANGED | EXT2_FLAG_DIRTY | EXT2_FLAG_IB_DIRTY | EXT2_FLAG_BB_DIRTY`.
pub(super) const FLAG_ANY_CHANGE: c_int = 0x36;
/// `EXT2_FLAG_FLUSH_NO_SYNC`.
pub(super) const FLUSH_NO_SYNC: c_int = 1;
/// `EXT2_FALLOCATE_FORCE_INIT`: blocks count as written.
pub(super) const FALLOCATE_FORCE_INIT: c_int = 2;
/// `EXT2_BG_INODE_ZEROED`.
pub(super) const BG_INODE_ZEROED: u16 = 4;
/// `EXT2_EXTENT_FLAGS_UNINIT`.
pub(super) const EXTENT_UNINIT: u32 = 2;
/// `EXT2FS_BMAP64_BITARRAY`.
pub(super) const BMAP64_BITARRAY: u16 = 1;
/// `EXT2_EXTENT_CURRENT`.
pub(super) const EXTENT_CURRENT: c_int = 0;
/// `EXT2_EXTENT_ROOT`.
pub(super) const EXTENT_ROOT: c_int = 1;
/// `EXT2_EXTENT_NEXT`.
pub(super) const EXTENT_NEXT: c_int = 9;
/// `EXT2_EXTENT_FLAGS_LEAF`.
pub(super) const EXTENT_LEAF: u32 = 1;

/// `struct struct_io_channel`.
#[repr(C)]
pub(super) struct IoChannel {
    pub(super) magic: Code,
    pub(super) manager: *const IoManager,
    pub(super) name: *mut c_char,
    pub(super) block_size: c_int,
    pub(super) read_error: *const c_void,
    pub(super) write_error: *const c_void,
    pub(super) refcount: c_int,
    pub(super) flags: c_uint,
    pub(super) reserved: [c_long; 14],
    pub(super) private_data: *mut c_void,
    pub(super) app_data: *mut c_void,
    pub(super) align: c_int,
}

type Channel = *mut IoChannel;
type Read<N> = unsafe extern "C" fn(Channel, N, c_int, *mut c_void) -> Code;
type Write<N> = unsafe extern "C" fn(Channel, N, c_int, *const c_void) -> Code;
type Range = unsafe extern "C" fn(Channel, c_ulonglong, c_ulonglong) -> Code;

/// `struct struct_io_manager`.
#[repr(C)]
pub(super) struct IoManager {
    pub(super) magic: Code,
    pub(super) name: *const c_char,
    pub(super) open: unsafe extern "C" fn(*const c_char, c_int, *mut Channel) -> Code,
    pub(super) close: unsafe extern "C" fn(Channel) -> Code,
    pub(super) set_blksize: unsafe extern "C" fn(Channel, c_int) -> Code,
    pub(super) read_blk: Read<c_ulong>,
    pub(super) write_blk: Write<c_ulong>,
    pub(super) flush: unsafe extern "C" fn(Channel) -> Code,
    pub(super) write_byte: Write<c_ulong>,
    pub(super) set_option:
        Option<unsafe extern "C" fn(Channel, *const c_char, *const c_char) -> Code>,
    pub(super) get_stats: Option<unsafe extern "C" fn(Channel, *mut *mut c_void) -> Code>,
    pub(super) read_blk64: Read<c_ulonglong>,
    pub(super) write_blk64: Write<c_ulonglong>,
    pub(super) discard: Option<Range>,
    pub(super) cache_readahead: Option<Range>,
    pub(super) zeroout: Option<Range>,
    pub(super) reserved: [c_long; 14],
}

/// The beginning of `struct struct_ext2_filsys`.
#[repr(C)]
pub(super) struct Filsys {
    pub(super) magic: Code,
    pub(super) io: Channel,
    pub(super) flags: c_int,
    pub(super) device_name: *mut c_char,
    pub(super) superblock: *mut [u8; 1024],
    pub(super) blocksize: c_uint,
    pub(super) fragsize: c_int,
    pub(super) group_desc_count: u32,
    pub(super) desc_blocks: c_ulong,
    pub(super) group_desc: *mut c_void,
    pub(super) inode_blocks_per_group: c_uint,
    pub(super) inode_map: *mut c_void,
    pub(super) block_map: *mut c_void,
    pub(super) callbacks: [*const c_void; 5],
    pub(super) badblocks: *mut c_void,
    pub(super) dblist: *mut c_void,
    pub(super) stride: u32,
    pub(super) orig_super: *mut c_void,
    pub(super) image_header: *mut c_void,
    pub(super) umask: u32,
    pub(super) now: i64,
    pub(super) cluster_ratio_bits: c_int,
    pub(super) default_bitmap_type: u16,
}

/// `struct ext2fs_extent`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Extent {
    pub(super) physical: u64,
    pub(super) logical: u64,
    pub(super) len: u32,
    pub(super) flags: u32,
}

pub(super) type Fs = *mut Filsys;
/// `struct ext2_inode *`; the functions that end in `_full` take the larger one as well.
pub(super) type InodePtr = *mut u32;
pub(super) type Handle = *mut c_void;

/// Called by `ext2fs_xattrs_iterate` for each attribute.
pub(super) type OnXattr = unsafe extern "C" fn(
    name: *mut c_char,
    value: *mut c_char,
    len: usize,
    private: *mut c_void,
) -> c_int;

/// Called by com_err for a message; `args` is a `va_list`, which is never looked at here.
pub(super) type OnMessage =
    unsafe extern "C" fn(who: *const c_char, code: Code, format: *const c_char, args: *mut c_void);

unsafe extern "C" {
    pub(super) fn ext2fs_open2(
        name: *const c_char,
        options: *const c_char,
        flags: c_int,
        superblock: c_int,
        block_size: c_uint,
        manager: *const IoManager,
        fs: *mut Fs,
    ) -> Code;
    pub(super) fn ext2fs_free(fs: Fs);
    pub(super) fn ext2fs_flush2(fs: Fs, flags: c_int) -> Code;
    pub(super) fn ext2fs_read_bitmaps(fs: Fs) -> Code;
    pub(super) fn ext2fs_read_inode_full(fs: Fs, ino: u32, inode: InodePtr, len: c_int) -> Code;
    pub(super) fn ext2fs_write_inode_full(fs: Fs, ino: u32, inode: InodePtr, len: c_int) -> Code;
    pub(super) fn ext2fs_inode_size_set(fs: Fs, inode: InodePtr, size: u64) -> Code;
    pub(super) fn ext2fs_new_inode(
        fs: Fs,
        dir: u32,
        mode: c_int,
        map: *mut c_void,
        out: *mut u32,
    ) -> Code;
    pub(super) fn ext2fs_inode_alloc_stats2(fs: Fs, ino: u32, inuse: c_int, isdir: c_int);
    pub(super) fn ext2fs_fallocate(
        fs: Fs,
        flags: c_int,
        ino: u32,
        inode: InodePtr,
        goal: u64,
        start: u64,
        len: u64,
    ) -> Code;
    pub(super) fn ext2fs_punch(
        fs: Fs,
        ino: u32,
        inode: InodePtr,
        block_buf: *mut c_char,
        start: u64,
        end: u64,
    ) -> Code;
    pub(super) fn ext2fs_bmap2(
        fs: Fs,
        ino: u32,
        inode: InodePtr,
        block_buf: *mut c_char,
        flags: c_int,
        block: u64,
        ret_flags: *mut c_int,
        out: *mut u64,
    ) -> Code;
    pub(super) fn ext2fs_extent_open2(fs: Fs, ino: u32, inode: InodePtr, out: *mut Handle) -> Code;
    pub(super) fn ext2fs_extent_goto(handle: Handle, block: u64) -> Code;
    pub(super) fn ext2fs_extent_get(handle: Handle, op: c_int, extent: *mut Extent) -> Code;
    pub(super) fn ext2fs_extent_free(handle: Handle);
    pub(super) fn ext2fs_read_dir_block4(
        fs: Fs,
        block: u64,
        buf: *mut c_void,
        flags: c_int,
        ino: u32,
    ) -> Code;
    pub(super) fn ext2fs_dirhash(
        version: c_int,
        name: *const c_char,
        len: c_int,
        seed: *const u32,
        hash: *mut u32,
        minor: *mut u32,
    ) -> Code;
    pub(super) fn ext2fs_write_dir_block4(
        fs: Fs,
        block: u64,
        buf: *mut c_void,
        flags: c_int,
        ino: u32,
    ) -> Code;
    pub(super) fn ext2fs_xattrs_open(fs: Fs, ino: u32, out: *mut Handle) -> Code;
    pub(super) fn ext2fs_xattrs_read(handle: Handle) -> Code;
    pub(super) fn ext2fs_xattr_set(
        handle: Handle,
        name: *const c_char,
        value: *const c_void,
        len: usize,
    ) -> Code;
    pub(super) fn ext2fs_xattr_remove(handle: Handle, name: *const c_char) -> Code;
    pub(super) fn ext2fs_xattrs_iterate(
        handle: Handle,
        on_xattr: OnXattr,
        private: *mut c_void,
    ) -> Code;
    pub(super) fn ext2fs_xattrs_close(handle: *mut Handle) -> Code;
    pub(super) fn ext2fs_free_ext_attr(fs: Fs, ino: u32, inode: InodePtr) -> Code;
    pub(super) fn ext2fs_bg_flags_set(fs: Fs, group: u32, flags: u16);
    pub(super) fn ext2fs_group_desc_csum_set(fs: Fs, group: u32);
    pub(super) fn ext2fs_bg_free_blocks_count(fs: Fs, group: u32) -> u32;
    pub(super) fn ext2fs_bg_free_inodes_count(fs: Fs, group: u32) -> u32;
    pub(super) fn ext2fs_find_first_set_generic_bmap(
        map: *mut c_void,
        start: u64,
        end: u64,
        out: *mut u64,
    ) -> Code;
    pub(super) fn ext2fs_find_first_zero_generic_bmap(
        map: *mut c_void,
        start: u64,
        end: u64,
        out: *mut u64,
    ) -> Code;
    pub(super) fn ext2fs_test_generic_bmap(map: *mut c_void, number: u64) -> c_int;
    pub(super) fn ext2fs_crc32c_le(crc: u32, bytes: *const u8, len: usize) -> u32;
    pub(super) fn ext2fs_crc32_be(crc: u32, bytes: *const u8, len: usize) -> u32;
    pub(super) fn error_message(code: Code) -> *const c_char;
    pub(super) fn initialize_ext2_error_table();
    pub(super) fn set_com_err_hook(hook: OnMessage) -> *const c_void;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lie_where_the_headers_put_them() {
        // Offsets printed by a C program against ext2fs.h of e2fsprogs 1.47.2, amd64.
        assert_eq!(std::mem::offset_of!(Filsys, superblock), 32);
        assert_eq!(std::mem::offset_of!(Filsys, blocksize), 40);
        assert_eq!(std::mem::offset_of!(Filsys, group_desc_count), 48);
        assert_eq!(std::mem::offset_of!(Filsys, inode_map), 80);
        assert_eq!(std::mem::offset_of!(Filsys, now), 184);
        assert_eq!(std::mem::offset_of!(Filsys, default_bitmap_type), 196);
        assert_eq!(std::mem::offset_of!(IoChannel, private_data), 168);
        assert_eq!(std::mem::offset_of!(IoManager, read_blk64), 88);
    }
}
