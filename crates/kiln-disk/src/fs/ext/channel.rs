// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libext2fs's "I/O manager" over a [`Device`](crate::device::Device): the C side's way to our cache.
#![expect(unsafe_code, reason = "callbacks that libext2fs calls with raw pointers")]

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_int, c_ulong, c_ulonglong, c_void};
use std::io;
use std::ptr;
use std::rc::Rc;

use super::cache::Cache;
use super::ffi::{Code, IoChannel, IoManager, MAGIC_IO_CHANNEL, MAGIC_IO_MANAGER};

/// The cache, shared by libext2fs's channel and by the code here that writes file data.
pub(super) type Shared = Rc<RefCell<Cache>>;

thread_local! {
    /// The cache for the channel that this thread opens next: `open` gets only a name from C.
    static NEXT: Cell<Option<Shared>> = const { Cell::new(None) };
}

/// Makes the next channel that libext2fs opens in this thread use `cache`.
pub(super) fn offer(cache: Shared) {
    NEXT.set(Some(cache));
}

/// The address in here never changes, and no member is ever written.
struct Manager(IoManager);
// SAFETY: function pointers and a pointer to a string constant, all of them read only.
unsafe impl Sync for Manager {}

static MANAGER: Manager = Manager(IoManager {
    magic: MAGIC_IO_MANAGER,
    name: c"kiln".as_ptr(),
    open,
    close,
    set_blksize,
    read_blk,
    write_blk,
    flush,
    write_byte,
    set_option: None,
    get_stats: None,
    read_blk64,
    write_blk64,
    discard: None,
    cache_readahead: None,
    zeroout: Some(zeroout),
    reserved: [0; 14],
});

/// Returns the manager to be handed to `ext2fs_open2`.
pub(super) fn manager() -> *const IoManager {
    &raw const MANAGER.0
}

unsafe extern "C" fn open(_: *const c_char, _: c_int, out: *mut *mut IoChannel) -> Code {
    let Some(cache) = NEXT.take() else {
        return Code::from(rustix::io::Errno::NODEV.raw_os_error());
    };
    let channel = Box::new(IoChannel {
        magic: MAGIC_IO_CHANNEL,
        manager: manager(),
        name: CString::from(c"kiln").into_raw(),
        block_size: 1024,
        read_error: ptr::null(),
        write_error: ptr::null(),
        refcount: 1,
        flags: 0,
        reserved: [0; 14],
        private_data: Rc::into_raw(cache).cast_mut().cast(),
        app_data: ptr::null_mut(),
        align: 0,
    });
    // SAFETY: libext2fs hands a pointer to the variable that it wants the channel in.
    unsafe { *out = Box::into_raw(channel) };
    0
}

unsafe extern "C" fn close(channel: *mut IoChannel) -> Code {
    // SAFETY: the channel was made by `open` above, with its `name` and `private_data`, and
    // libext2fs does not use it any more once its last user has closed it.
    unsafe {
        (*channel).refcount -= 1;
        if (*channel).refcount > 0 {
            return 0;
        }
        drop(CString::from_raw((*channel).name));
        drop(Rc::from_raw((*channel).private_data.cast::<RefCell<Cache>>()));
        drop(Box::from_raw(channel));
    }
    0
}

unsafe extern "C" fn set_blksize(channel: *mut IoChannel, size: c_int) -> Code {
    // SAFETY: a channel that `open` made and `close` has not freed yet.
    unsafe { (*channel).block_size = size };
    0
}

/// Runs `with` on the cache of `channel` and turns its error into a number.
///
/// # Safety
///
/// `channel` must come from `open` and not be closed.
unsafe fn io(channel: *mut IoChannel, with: impl FnOnce(&mut Cache) -> io::Result<()>) -> Code {
    // SAFETY: `private_data` is from `Rc::into_raw` and stays valid until `close`.
    let cache = unsafe { &*(*channel).private_data.cast::<RefCell<Cache>>() };
    // Nobody holds the cache across a call into libext2fs; if one did, C must get an error.
    let Ok(mut cache) = cache.try_borrow_mut() else {
        return Code::from(rustix::io::Errno::DEADLK.raw_os_error());
    };
    match with(&mut cache) {
        Ok(()) => 0,
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
            cache.error = Some(error);
            Code::from(code)
        }
    }
}

/// Returns where block `block` begins and how long `count` blocks are; a negative count is
/// minus the number of bytes.
///
/// # Safety
///
/// As [`io()`].
unsafe fn span(channel: *mut IoChannel, block: u64, count: c_int) -> Option<(u64, usize)> {
    // SAFETY: promised by the caller.
    let size = unsafe { (*channel).block_size };
    let at = block.checked_mul(u64::try_from(size).ok()?)?;
    let len =
        if count < 0 { count.unsigned_abs() } else { count.checked_mul(size)?.unsigned_abs() };
    Some((at, usize::try_from(len).ok()?))
}

const INVALID: Code = 22;

unsafe extern "C" fn read_blk64(
    channel: *mut IoChannel,
    block: c_ulonglong,
    count: c_int,
    to: *mut c_void,
) -> Code {
    // SAFETY: libext2fs calls with its open channel and a buffer as long as `count` says.
    unsafe {
        let Some((at, len)) = span(channel, block, count) else { return INVALID };
        io(channel, |cache| cache.read(at, std::slice::from_raw_parts_mut(to.cast(), len)))
    }
}

unsafe extern "C" fn write_blk64(
    channel: *mut IoChannel,
    block: c_ulonglong,
    count: c_int,
    from: *const c_void,
) -> Code {
    // SAFETY: as in `read_blk64`.
    unsafe {
        let Some((at, len)) = span(channel, block, count) else { return INVALID };
        io(channel, |cache| cache.write(at, std::slice::from_raw_parts(from.cast(), len)))
    }
}

unsafe extern "C" fn read_blk(
    channel: *mut IoChannel,
    block: c_ulong,
    count: c_int,
    to: *mut c_void,
) -> Code {
    // SAFETY: as in `read_blk64`.
    unsafe { read_blk64(channel, block, count, to) }
}

unsafe extern "C" fn write_blk(
    channel: *mut IoChannel,
    block: c_ulong,
    count: c_int,
    from: *const c_void,
) -> Code {
    // SAFETY: as in `read_blk64`.
    unsafe { write_blk64(channel, block, count, from) }
}

unsafe extern "C" fn write_byte(
    channel: *mut IoChannel,
    at: c_ulong,
    count: c_int,
    from: *const c_void,
) -> Code {
    let Ok(len) = usize::try_from(count) else { return INVALID };
    // SAFETY: as in `read_blk64`; here `at` and `count` are bytes.
    unsafe { io(channel, |cache| cache.write(at, std::slice::from_raw_parts(from.cast(), len))) }
}

/// Where this fails, `ext2fs_zero_blocks2` writes zeros from a buffer that all threads share
/// without a lock (e2fsprogs 1.47, `lib/ext2fs/mkjournal.c`), and corrupts the heap. So this never
/// does: what went wrong is kept, and comes back from [`Cache::flush`].
unsafe extern "C" fn zeroout(
    channel: *mut IoChannel,
    block: c_ulonglong,
    count: c_ulonglong,
) -> Code {
    // SAFETY: libext2fs calls with its open channel.
    let size = u64::try_from(unsafe { (*channel).block_size }).unwrap_or_default();
    let (at, len) = (block.saturating_mul(size), count.saturating_mul(size));
    let zeros = |cache: &mut Cache| {
        cache.write_zeros(at, len);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { io(channel, zeros) }
}

unsafe extern "C" fn flush(_: *mut IoChannel) -> Code {
    // `ExtFs::close` flushes when all is in place; libext2fs asks far more often.
    0
}
