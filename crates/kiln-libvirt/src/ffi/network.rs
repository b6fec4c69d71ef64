// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on networks.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::{c_int, c_uint};
use std::ptr;

use virt_sys as sys;

use super::call::{borrowed_text, c_text, list, object, owned_text, status, take_array, timed};
use super::handle::{Conn, Net};
use crate::error::Cause;

/// One DHCP lease.
#[derive(Clone, Debug)]
pub(crate) struct RawLease {
    pub(crate) mac: String,
    pub(crate) address: String,
    pub(crate) prefix: u32,
    pub(crate) hostname: String,
    pub(crate) expires: i64,
}

pub(crate) fn define(conn: &Conn, xml: &str) -> Result<Net, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virNetworkDefineXML(conn.ptr(), xml.as_ptr()) })
}

pub(crate) fn by_name(conn: &Conn, name: &str) -> Result<Net, Cause> {
    let name = c_text(name)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virNetworkLookupByName(conn.ptr(), name.as_ptr()) })
}

pub(crate) fn all(conn: &Conn) -> Result<Vec<Net>, Cause> {
    // SAFETY: the handle outlives the call; `list` provides the place for the array.
    list(|array| unsafe { sys::virConnectListAllNetworks(conn.ptr(), array, 0) })
}

pub(crate) fn name(net: &Net) -> String {
    // SAFETY: the handle is alive, and the text belongs to it.
    borrowed_text(timed(|| unsafe { sys::virNetworkGetName(net.ptr()) }))
}

pub(crate) fn is_active(net: &Net) -> Result<bool, Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virNetworkIsActive(net.ptr()) }).map(|n| n == 1)
}

pub(crate) fn start(net: &Net) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virNetworkCreate(net.ptr()) }).map(drop)
}

pub(crate) fn destroy(net: &Net) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virNetworkDestroy(net.ptr()) }).map(drop)
}

pub(crate) fn undefine(net: &Net) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virNetworkUndefine(net.ptr()) }).map(drop)
}

pub(crate) fn autostart(net: &Net) -> Result<bool, Cause> {
    let mut on = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virNetworkGetAutostart(net.ptr(), &raw mut on) })?;
    Ok(on != 0)
}

pub(crate) fn set_autostart(net: &Net, on: bool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virNetworkSetAutostart(net.ptr(), c_int::from(on)) }).map(drop)
}

pub(crate) fn xml(net: &Net) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virNetworkGetXMLDesc(net.ptr(), 0) })
}

/// Changes the list of reserved addresses (`<dhcp><host>`).
pub(crate) fn update_host(
    net: &Net,
    command: c_uint,
    xml: &str,
    flags: c_uint,
) -> Result<(), Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call; -1 lets libvirt find the `<ip>` that has DHCP.
    status(|| unsafe {
        sys::virNetworkUpdate(
            net.ptr(),
            command,
            sys::VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            xml.as_ptr(),
            flags,
        )
    })
    .map(drop)
}

pub(crate) fn leases(net: &Net) -> Result<Vec<RawLease>, Cause> {
    let mut array: *mut sys::virNetworkDHCPLeasePtr = ptr::null_mut();
    // SAFETY: the handle is alive; the place for the array outlives the call; null asks for all.
    let count = status(|| unsafe {
        sys::virNetworkGetDHCPLeases(net.ptr(), ptr::null(), &raw mut array, 0)
    })?;
    Ok(take_array(array, count, |pointer| {
        // SAFETY: an element of the list is a record that its caller owns.
        let record = unsafe { pointer.as_ref() };
        let lease = RawLease {
            mac: borrowed_text(record.mac),
            address: borrowed_text(record.ipaddr),
            prefix: record.prefix,
            hostname: borrowed_text(record.hostname),
            expires: record.expirytime,
        };
        // SAFETY: the record is ours, and its texts were copied.
        unsafe { sys::virNetworkDHCPLeaseFree(pointer.as_ptr()) };
        lease
    }))
}
