// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How each call is made: timed, checked, its error fetched.
#![expect(unsafe_code, reason = "reads libvirt's results and its last error")]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use virt_sys as sys;

use super::handle::{Counted, Handle};
use crate::error::{Cause, LibvirtError};

static TOTAL_NANOS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

unsafe extern "C" {
    /// The C library's own: libvirt allocates what its callers must free with it.
    fn free(block: *mut c_void);
}

/// Runs `f`, one call of libvirt, and adds its time to the sums.
pub(crate) fn timed<R>(f: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let result = f();
    let spent = begin.elapsed();
    TOTAL_NANOS.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    THREAD.with(|sum| sum.set(sum.get() + spent));
    result
}

/// Time that the process has spent inside libvirt so far, summed over its threads.
pub(crate) fn total() -> Duration {
    Duration::from_nanos(TOTAL_NANOS.load(Ordering::Relaxed))
}

/// Time that this thread has spent inside libvirt so far.
pub(crate) fn of_this_thread() -> Duration {
    THREAD.with(Cell::get)
}

/// Makes a call that returns a negative number when it fails.
pub(super) fn status(f: impl FnOnce() -> c_int) -> Result<c_int, Cause> {
    let result = timed(f);
    if result < 0 { Err(last_error()) } else { Ok(result) }
}

/// Makes a call that returns a counted object, which the caller then owns, or null.
pub(super) fn object<T: Counted>(f: impl FnOnce() -> *mut T) -> Result<Handle<T>, Cause> {
    let pointer = NonNull::new(timed(f)).ok_or_else(last_error)?;
    // SAFETY: libvirt's constructors and look-ups give one reference to their caller.
    Ok(unsafe { Handle::new(pointer) })
}

/// Makes a call that returns a text which its caller must free, or null.
pub(super) fn owned_text(f: impl FnOnce() -> *mut c_char) -> Result<String, Cause> {
    let pointer = timed(f);
    if pointer.is_null() {
        return Err(last_error());
    }
    let text = borrowed_text(pointer);
    // SAFETY: allocated by libvirt with malloc for its caller to free; not used afterwards.
    unsafe { free(pointer.cast()) };
    Ok(text)
}

/// Makes a call that returns bytes, and how many, which its caller must free, or null. They may be a
/// secret: they are wiped before they are freed.
pub(super) fn owned_bytes(
    f: impl FnOnce() -> Option<(NonNull<u8>, usize)>,
) -> Result<Vec<u8>, Cause> {
    let (pointer, length) = timed(f).ok_or_else(last_error)?;
    // SAFETY: libvirt returned that many bytes, which nobody else has.
    let bytes = unsafe { std::slice::from_raw_parts_mut(pointer.as_ptr(), length) };
    let copy = bytes.to_vec();
    for byte in bytes {
        // SAFETY: a valid place; volatile, so that it is done although nobody reads it again.
        unsafe { ptr::write_volatile(byte, 0) };
    }
    // SAFETY: allocated by libvirt with malloc for its caller to free; not used afterwards.
    unsafe { free(pointer.as_ptr().cast()) };
    Ok(copy)
}

/// Copies a text that belongs to libvirt; an empty one for null. Bytes that are no UTF-8 become
/// replacement characters.
pub(super) fn borrowed_text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not null, and every text that libvirt hands out ends with a zero byte; it stays
    // alive for this call because its owner (an object or our caller) does.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Makes a call that lists objects into an array which its caller must free.
pub(super) fn list<T: Counted>(
    f: impl FnOnce(*mut *mut *mut T) -> c_int,
) -> Result<Vec<Handle<T>>, Cause> {
    let mut array: *mut *mut T = ptr::null_mut();
    let count = status(|| f(&raw mut array))?;
    let handles = take_array(array, count, |pointer| {
        // SAFETY: each element of such a list is one reference that its caller owns.
        unsafe { Handle::new(pointer) }
    });
    Ok(handles)
}

/// Takes over an array of `count` pointers, each turned into a value by `take`, and frees it.
pub(super) fn take_array<T, R>(
    array: *mut *mut T,
    count: c_int,
    take: impl Fn(NonNull<T>) -> R,
) -> Vec<R> {
    if array.is_null() {
        return Vec::new();
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: libvirt returned `array` with `count` elements, which nobody else has.
    let elements = unsafe { std::slice::from_raw_parts(array, count) };
    let values = elements.iter().filter_map(|p| NonNull::new(*p)).map(take).collect();
    // SAFETY: allocated by libvirt with malloc for its caller to free; not used afterwards.
    unsafe { free(array.cast()) };
    values
}

/// Turns a text into C's form.
pub(super) fn c_text(text: &str) -> Result<CString, Cause> {
    CString::new(text).map_err(|_| Cause::ZeroByte)
}

/// Takes this thread's last error.
pub(super) fn last_error() -> Cause {
    // SAFETY: may be called at any time; the result is null or belongs to this thread until its
    // next call of libvirt, and is copied before that.
    let error = unsafe { sys::virGetLastError().as_ref() };
    let error = match error {
        Some(e) => LibvirtError {
            code: u32::try_from(e.code).unwrap_or(0),
            domain: u32::try_from(e.domain).unwrap_or(0),
            message: borrowed_text(e.message).trim().replace('\n', "; "),
        },
        None => LibvirtError {
            code: sys::VIR_ERR_INTERNAL_ERROR,
            domain: sys::VIR_FROM_NONE,
            message: "libvirt gave no reason".to_owned(),
        },
    };
    Cause::Libvirt(error)
}
