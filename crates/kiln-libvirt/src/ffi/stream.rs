// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on streams.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use virt_sys as sys;

use super::call::{last_error, object, status, timed};
use super::handle::{Conn, Stream};
use crate::error::Cause;

/// What a call that receives found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes.
    Bytes(usize),
    /// A hole begins here.
    Hole,
    /// Nothing yet (only of a stream that does not block).
    Nothing,
    /// The end.
    End,
}

/// What a stream's callback tells.
pub(crate) trait Notified: Send + Sync + 'static {
    /// Called on the event loop's thread, with libvirt's `VIR_STREAM_EVENT_…`. Must not block
    /// or panic, and may call libvirt only by `watch_for`, which sets the events to be told of
    /// from now on.
    fn notify(&self, events: c_uint, watch_for: &dyn Fn(c_uint));
}

pub(crate) fn new(conn: &Conn, blocking: bool) -> Result<Stream, Cause> {
    let flags = if blocking { 0 } else { sys::VIR_STREAM_NONBLOCK };
    // SAFETY: the handle is alive.
    object(|| unsafe { sys::virStreamNew(conn.ptr(), flags) })
}

/// Sends bytes and returns how many were taken; `None` if a stream that does not block is full.
pub(crate) fn send(stream: &Stream, bytes: &[u8]) -> Result<Option<usize>, Cause> {
    // SAFETY: the handle is alive, and the bytes are as many as we say.
    let sent =
        timed(|| unsafe { sys::virStreamSend(stream.ptr(), bytes.as_ptr().cast(), bytes.len()) });
    match sent {
        WOULD_BLOCK => Ok(None),
        n => usize::try_from(n).map(Some).map_err(|_| last_error()),
    }
}

pub(crate) fn send_hole(stream: &Stream, length: i64) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStreamSendHole(stream.ptr(), length, 0) }).map(drop)
}

/// Receives bytes; with `holes`, stops at a hole of a sparse stream.
pub(crate) fn receive(stream: &Stream, into: &mut [u8], holes: bool) -> Result<Received, Cause> {
    let flags = if holes { sys::VIR_STREAM_RECV_STOP_AT_HOLE } else { 0 };
    // SAFETY: the handle is alive, and the buffer has as much room as we say.
    let got = timed(|| unsafe {
        sys::virStreamRecvFlags(stream.ptr(), into.as_mut_ptr().cast(), into.len(), flags)
    });
    match got {
        0 => Ok(Received::End),
        WOULD_BLOCK => Ok(Received::Nothing),
        AT_HOLE => Ok(Received::Hole),
        n => usize::try_from(n).map(Received::Bytes).map_err(|_| last_error()),
    }
}

/// Returns the length of the hole that [`receive`] stopped at.
pub(crate) fn receive_hole(stream: &Stream) -> Result<u64, Cause> {
    let mut length = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virStreamRecvHole(stream.ptr(), &raw mut length, 0) })?;
    u64::try_from(length).map_err(|_| Cause::Answer { what: "length of a hole" })
}

pub(crate) fn finish(stream: &Stream) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStreamFinish(stream.ptr()) }).map(drop)
}

pub(crate) fn abort(stream: &Stream) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStreamAbort(stream.ptr()) }).map(drop)
}

/// Has `target` told of events until [`unwatch`]; libvirt keeps a reference to it until then.
///
/// libvirt 11.3's client never gives the reference back (`remoteStreamCallbackFree` calls the
/// free function only if there is no callback): `target` is lost, so it must be small. Holding
/// it by a bare pointer instead would not be safe, since `unwatch` does not wait for a call that
/// is under way.
pub(crate) fn watch<T: Notified>(
    stream: &Stream,
    events: c_uint,
    target: Arc<T>,
) -> Result<(), Cause> {
    let opaque = Arc::into_raw(target).cast_mut().cast::<c_void>();
    // SAFETY: the handle is alive; `opaque` is a reference that libvirt owns from now on, read
    // as a `T` by `told` and given back by `forget`, both made for the same `T`.
    let added = status(|| unsafe {
        sys::virStreamEventAddCallback(
            stream.ptr(),
            as_int(events),
            Some(told::<T>),
            opaque,
            Some(forget::<T>),
        )
    });
    if added.is_err() {
        // SAFETY: a failed call did not take the reference over.
        unsafe { forget::<T>(opaque) };
    }
    added.map(drop)
}

/// Sets the events that are told of.
pub(crate) fn watch_for(stream: &Stream, events: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStreamEventUpdateCallback(stream.ptr(), as_int(events)) }).map(drop)
}

pub(crate) fn unwatch(stream: &Stream) {
    // It can fail only if nothing was watched.
    // SAFETY: the handle is alive.
    let _ = timed(|| unsafe { sys::virStreamEventRemoveCallback(stream.ptr()) });
}

/// `virStreamSend` and `virStreamRecv` of a stream that does not block: libvirt-stream(3).
const WOULD_BLOCK: c_int = -2;
/// `virStreamRecvFlags` with `VIR_STREAM_RECV_STOP_AT_HOLE`.
const AT_HOLE: c_int = -3;

fn as_int(events: c_uint) -> c_int {
    c_int::try_from(events).unwrap_or_default()
}

unsafe extern "C" fn told<T: Notified>(
    stream: sys::virStreamPtr,
    events: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: `watch` made `opaque` from an `Arc<T>`, which libvirt holds while it calls.
    let target = unsafe { &*opaque.cast::<T>() };
    let watch_for = |events| {
        // It can fail only when the callback has just been removed.
        // SAFETY: libvirt calls us with a live stream, and this closure does not outlast the call.
        let _ = unsafe { sys::virStreamEventUpdateCallback(stream, as_int(events)) };
    };
    target.notify(c_uint::try_from(events).unwrap_or_default(), &watch_for);
}

unsafe extern "C" fn forget<T>(opaque: *mut c_void) {
    // SAFETY: gives back the reference that `watch` handed over, once.
    drop(unsafe { Arc::from_raw(opaque.cast_const().cast::<T>()) });
}
