// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The event loop, and callbacks of domains and connections.
#![expect(unsafe_code, reason = "calls libvirt's C functions and is called by them")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use virt_sys as sys;

use super::call::{borrowed_text, last_error, status, timed};
use super::handle::Conn;
use crate::error::Cause;

/// Milliseconds after which the loop wakes up though nothing happened.
const HEARTBEAT: c_int = 1_000;

/// Which domain an event is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) uuid: [u8; 16],
}

/// What happened, in libvirt's numbers.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Lifecycle { domain: Subject, event: c_int, detail: c_int },
    Agent { domain: Subject, state: c_int },
    Closed { reason: c_int },
}

/// Who is told. Called on the event loop's thread: must not block, panic or call libvirt.
pub(crate) type Listener = Box<dyn Fn(Raw) + Send + Sync>;

/// Starts libvirt and its event loop, once for the process, and stops it from writing errors to
/// standard error.
pub(crate) fn start_loop() -> Result<(), Cause> {
    static STARTED: OnceLock<Option<crate::error::LibvirtError>> = OnceLock::new();
    let failure = STARTED.get_or_init(|| match init() {
        Ok(()) => None,
        Err(Cause::Libvirt(error)) => Some(error),
        Err(other) => Some(crate::error::LibvirtError {
            code: sys::VIR_ERR_SYSTEM_ERROR,
            domain: sys::VIR_FROM_NONE,
            message: other.to_string(),
        }),
    });
    match failure {
        Some(error) => Err(error.clone().into()),
        None => Ok(()),
    }
}

fn init() -> Result<(), Cause> {
    // SAFETY: may be called from any thread, any number of times.
    status(|| unsafe { sys::virInitialize() })?;
    // SAFETY: the function takes any arguments and does nothing.
    unsafe { sys::virSetErrorFunc(ptr::null_mut(), Some(silent)) };
    // SAFETY: called once, before the first connection is opened.
    status(|| unsafe { sys::virEventRegisterDefaultImpl() })?;
    // A timer that does nothing: without one, and without a handle, the loop would never return.
    // SAFETY: the callback uses none of its arguments.
    status(|| unsafe { sys::virEventAddTimeout(HEARTBEAT, Some(tick), ptr::null_mut(), None) })?;
    let spawned = std::thread::Builder::new().name("libvirt-events".to_owned()).spawn(|| {
        loop {
            // An error of one turn (poll) is not for us to mend; the next turn tries again.
            // SAFETY: the default implementation is registered, and only this thread runs it.
            if unsafe { sys::virEventRunDefaultImpl() } < 0 {
                std::thread::yield_now();
            }
        }
    });
    spawned.map(drop).map_err(Cause::Io)
}

/// A callback of domains that is registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallbackId(c_int);

/// Has `listener` told of domains that start, stop and so on.
pub(crate) fn on_lifecycle(conn: &Conn, listener: Listener) -> Result<CallbackId, Cause> {
    // SAFETY: libvirt calls a lifecycle callback with exactly these arguments; the generic type
    // stands for all callbacks, as its documentation demands.
    let callback = unsafe {
        std::mem::transmute::<LifecycleFn, unsafe extern "C" fn(_, _, _)>(lifecycle as LifecycleFn)
    };
    register(conn, sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, listener)
}

/// Has `listener` told of guest agents that come and go.
pub(crate) fn on_agent(conn: &Conn, listener: Listener) -> Result<CallbackId, Cause> {
    // SAFETY: as for the lifecycle.
    let callback =
        unsafe { std::mem::transmute::<AgentFn, unsafe extern "C" fn(_, _, _)>(agent as AgentFn) };
    register(conn, sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, callback, listener)
}

/// Ends a callback of domains. libvirt frees its listener, now or when a call of it has ended.
pub(crate) fn off(conn: &Conn, id: CallbackId) {
    // It can fail only when the connection is lost, which frees the listener, too.
    // SAFETY: the handle is alive.
    let _ = timed(|| unsafe { sys::virConnectDomainEventDeregisterAny(conn.ptr(), id.0) });
}

/// Has `listener` told when the connection is lost. One a connection. A driver without a wire
/// (`test`) takes it without an error, and neither calls nor frees it: a few bytes are lost.
pub(crate) fn on_close(conn: &Conn, listener: Listener) -> Result<(), Cause> {
    let opaque = pack(listener);
    // SAFETY: the handle is alive; libvirt owns `opaque` from now on and gives it to `forget`.
    let result = status(|| unsafe {
        sys::virConnectRegisterCloseCallback(conn.ptr(), Some(closed), opaque, Some(forget))
    });
    if result.is_err() {
        // SAFETY: a failed call did not take the listener over.
        unsafe { forget(opaque) };
    }
    result.map(drop)
}

/// Ends the callback of [`on_close`].
pub(crate) fn off_close(conn: &Conn) {
    // It can fail only if nothing is registered.
    // SAFETY: the handle is alive.
    let _ = timed(|| unsafe { sys::virConnectUnregisterCloseCallback(conn.ptr(), Some(closed)) });
}

type LifecycleFn =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void);
type AgentFn = LifecycleFn;

fn register(
    conn: &Conn,
    event: sys::virDomainEventID,
    callback: unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void),
    listener: Listener,
) -> Result<CallbackId, Cause> {
    let opaque = pack(listener);
    let event = c_int::try_from(event).unwrap_or_default();
    // SAFETY: the handle is alive; null means every domain; libvirt owns `opaque` from now on
    // and gives it to `forget` when the callback ends.
    let id = timed(|| unsafe {
        sys::virConnectDomainEventRegisterAny(
            conn.ptr(),
            ptr::null_mut(),
            event,
            Some(callback),
            opaque,
            Some(forget),
        )
    });
    if id < 0 {
        let error = last_error();
        // SAFETY: a failed call did not take the listener over.
        unsafe { forget(opaque) };
        return Err(error);
    }
    Ok(CallbackId(id))
}

/// A listener as one thin pointer.
fn pack(listener: Listener) -> *mut c_void {
    Box::into_raw(Box::new(listener)).cast()
}

/// Tells the listener behind `opaque`.
///
/// # Safety
///
/// `opaque` must come from [`pack`] and not have been forgotten.
unsafe fn tell(opaque: *mut c_void, raw: Raw) {
    // SAFETY: promised by the caller.
    let listener = unsafe { &*opaque.cast::<Listener>() };
    listener(raw);
}

/// Reads whom an event is about.
///
/// # Safety
///
/// `domain` must be a live domain.
unsafe fn subject(domain: sys::virDomainPtr) -> Subject {
    let mut uuid = [0; 16];
    // SAFETY: promised by the caller; the buffer has VIR_UUID_BUFLEN (16) bytes. Both calls only
    // read the object and do not reach the host.
    unsafe {
        let _ = sys::virDomainGetUUID(domain, uuid.as_mut_ptr());
        Subject { name: borrowed_text(sys::virDomainGetName(domain)), uuid }
    }
}

unsafe extern "C" fn lifecycle(
    _conn: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with a live domain and the pointer that was registered.
    unsafe { tell(opaque, Raw::Lifecycle { domain: subject(domain), event, detail }) }
}

unsafe extern "C" fn agent(
    _conn: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    state: c_int,
    _reason: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt calls with a live domain and the pointer that was registered.
    unsafe { tell(opaque, Raw::Agent { domain: subject(domain), state }) }
}

unsafe extern "C" fn closed(_conn: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt calls with the pointer that was registered.
    unsafe { tell(opaque, Raw::Closed { reason }) }
}

unsafe extern "C" fn forget(opaque: *mut c_void) {
    // SAFETY: gives back what `pack` made, once.
    drop(unsafe { Box::from_raw(opaque.cast::<Listener>()) });
}

unsafe extern "C" fn silent(_data: *mut c_void, _error: sys::virErrorPtr) {}

unsafe extern "C" fn tick(_timer: c_int, _opaque: *mut c_void) {}
