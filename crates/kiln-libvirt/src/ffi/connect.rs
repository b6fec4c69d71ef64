// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on connections.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::c_ulong;
use std::ptr;

use virt_sys as sys;

use super::call::{borrowed_text, c_text, object, owned_text, status, timed};
use super::handle::Conn;
use crate::error::Cause;

/// Seconds between two signs of life on a silent connection, and how many may be missed.
const KEEPALIVE: (i32, u32) = (5, 5);

/// Memory and processors of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) memory_kib: u64,
    pub(crate) cpus: u32,
    pub(crate) model: [u8; 32],
}

pub(crate) fn open(uri: &str, ask: bool) -> Result<Conn, Cause> {
    let uri = c_text(uri)?;
    let conn = object(|| {
        // SAFETY: the text outlives the call; the default authentication is libvirt's own
        // static, which nobody changes.
        unsafe {
            let auth = if ask { sys::virConnectAuthPtrDefault } else { ptr::null_mut() };
            sys::virConnectOpenAuth(uri.as_ptr(), auth, 0)
        }
    })?;
    // Drivers without a wire have no keepalive: that is no error.
    // SAFETY: the handle is alive.
    let _ = timed(|| unsafe { sys::virConnectSetKeepAlive(conn.ptr(), KEEPALIVE.0, KEEPALIVE.1) });
    Ok(conn)
}

pub(crate) fn uri(conn: &Conn) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virConnectGetURI(conn.ptr()) })
}

pub(crate) fn hostname(conn: &Conn) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virConnectGetHostname(conn.ptr()) })
}

pub(crate) fn driver(conn: &Conn) -> String {
    // SAFETY: the handle is alive; the result is a static text.
    borrowed_text(timed(|| unsafe { sys::virConnectGetType(conn.ptr()) }))
}

pub(crate) fn is_alive(conn: &Conn) -> bool {
    // SAFETY: the handle is alive.
    timed(|| unsafe { sys::virConnectIsAlive(conn.ptr()) }) == 1
}

pub(crate) fn lib_version(conn: &Conn) -> Result<u64, Cause> {
    let mut version: c_ulong = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virConnectGetLibVersion(conn.ptr(), &raw mut version) })?;
    Ok(version)
}

pub(crate) fn hypervisor_version(conn: &Conn) -> Result<u64, Cause> {
    let mut version: c_ulong = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virConnectGetVersion(conn.ptr(), &raw mut version) })?;
    Ok(version)
}

pub(crate) fn capabilities(conn: &Conn) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virConnectGetCapabilities(conn.ptr()) })
}

pub(crate) fn domain_capabilities(
    conn: &Conn,
    arch: &str,
    machine: Option<&str>,
    virt_type: &str,
) -> Result<String, Cause> {
    let (arch, virt_type) = (c_text(arch)?, c_text(virt_type)?);
    let machine = machine.map(c_text).transpose()?;
    // SAFETY: handle and texts outlive the call; null stands for libvirt's choice; the result is
    // ours to free.
    owned_text(|| unsafe {
        sys::virConnectGetDomainCapabilities(
            conn.ptr(),
            ptr::null(),
            arch.as_ptr(),
            machine.as_ref().map_or(ptr::null(), |m| m.as_ptr()),
            virt_type.as_ptr(),
            0,
        )
    })
}

pub(crate) fn node(conn: &Conn) -> Result<Node, Cause> {
    // SAFETY: numbers and characters only, for which zeros are a value.
    let mut info: sys::virNodeInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is alive; the record outlives the call.
    status(|| unsafe { sys::virNodeGetInfo(conn.ptr(), &raw mut info) })?;
    let model = info.model.map(|c| u8::from_ne_bytes(c.to_ne_bytes()));
    Ok(Node { memory_kib: info.memory, cpus: info.cpus, model })
}
