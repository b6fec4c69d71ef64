// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on domains.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::{c_int, c_uint, c_ulong};
use std::ptr;

use virt_sys as sys;

use super::call::{
    borrowed_text, c_text, last_error, list, object, owned_text, status, take_array, timed,
};
use super::handle::{Conn, Dom, Stream};
use crate::error::Cause;

/// What `virDomainGetInfo` tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Info {
    pub(crate) max_memory_kib: u64,
    pub(crate) memory_kib: u64,
    pub(crate) vcpus: u32,
    pub(crate) cpu_time_ns: u64,
}

/// One interface of a guest.
#[derive(Clone, Debug)]
pub(crate) struct Nic {
    pub(crate) name: String,
    pub(crate) mac: String,
    pub(crate) addresses: Vec<(String, u32)>,
}

pub(crate) fn define(conn: &Conn, xml: &str) -> Result<Dom, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virDomainDefineXMLFlags(conn.ptr(), xml.as_ptr(), 0) })
}

pub(crate) fn by_name(conn: &Conn, name: &str) -> Result<Dom, Cause> {
    let name = c_text(name)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virDomainLookupByName(conn.ptr(), name.as_ptr()) })
}

pub(crate) fn by_uuid(conn: &Conn, uuid: &[u8; 16]) -> Result<Dom, Cause> {
    // SAFETY: the handle outlives the call, and a UUID has VIR_UUID_BUFLEN (16) bytes.
    object(|| unsafe { sys::virDomainLookupByUUID(conn.ptr(), uuid.as_ptr()) })
}

pub(crate) fn all(conn: &Conn) -> Result<Vec<Dom>, Cause> {
    // SAFETY: the handle outlives the call; `list` provides the place for the array.
    list(|array| unsafe { sys::virConnectListAllDomains(conn.ptr(), array, 0) })
}

pub(crate) fn name(dom: &Dom) -> String {
    // SAFETY: the handle is alive, and the text belongs to it.
    borrowed_text(timed(|| unsafe { sys::virDomainGetName(dom.ptr()) }))
}

pub(crate) fn uuid(dom: &Dom) -> Result<[u8; 16], Cause> {
    let mut uuid = [0; 16];
    // SAFETY: the handle is alive; the buffer has VIR_UUID_BUFLEN (16) bytes.
    status(|| unsafe { sys::virDomainGetUUID(dom.ptr(), uuid.as_mut_ptr()) })?;
    Ok(uuid)
}

pub(crate) fn start(dom: &Dom, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainCreateWithFlags(dom.ptr(), flags) }).map(drop)
}

pub(crate) fn resume(dom: &Dom) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainResume(dom.ptr()) }).map(drop)
}

pub(crate) fn suspend(dom: &Dom) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainSuspend(dom.ptr()) }).map(drop)
}

pub(crate) fn shutdown(dom: &Dom, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainShutdownFlags(dom.ptr(), flags) }).map(drop)
}

pub(crate) fn reboot(dom: &Dom, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainReboot(dom.ptr(), flags) }).map(drop)
}

pub(crate) fn reset(dom: &Dom) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainReset(dom.ptr(), 0) }).map(drop)
}

pub(crate) fn destroy(dom: &Dom) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainDestroyFlags(dom.ptr(), 0) }).map(drop)
}

pub(crate) fn undefine(dom: &Dom, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainUndefineFlags(dom.ptr(), flags) }).map(drop)
}

pub(crate) fn set_vcpus(dom: &Dom, count: c_uint, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainSetVcpusFlags(dom.ptr(), count, flags) }).map(drop)
}

pub(crate) fn set_memory(dom: &Dom, kib: c_ulong, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainSetMemoryFlags(dom.ptr(), kib, flags) }).map(drop)
}

pub(crate) fn resize_disk(dom: &Dom, disk: &str, bytes: u64) -> Result<(), Cause> {
    let disk = c_text(disk)?;
    let flags = sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES;
    // SAFETY: handle and text outlive the call.
    status(|| unsafe { sys::virDomainBlockResize(dom.ptr(), disk.as_ptr(), bytes, flags) })
        .map(drop)
}

pub(crate) fn state(dom: &Dom) -> Result<(c_int, c_int), Cause> {
    let (mut state, mut reason) = (0, 0);
    // SAFETY: the handle is alive; both numbers outlive the call.
    status(|| unsafe { sys::virDomainGetState(dom.ptr(), &raw mut state, &raw mut reason, 0) })?;
    Ok((state, reason))
}

pub(crate) fn is_persistent(dom: &Dom) -> Result<bool, Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainIsPersistent(dom.ptr()) }).map(|n| n == 1)
}

pub(crate) fn has_managed_save(dom: &Dom) -> Result<bool, Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainHasManagedSaveImage(dom.ptr(), 0) }).map(|n| n == 1)
}

pub(crate) fn info(dom: &Dom) -> Result<Info, Cause> {
    // SAFETY: numbers only, for which zeros are a value.
    let mut info: sys::virDomainInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is alive; the record outlives the call.
    status(|| unsafe { sys::virDomainGetInfo(dom.ptr(), &raw mut info) })?;
    Ok(Info {
        max_memory_kib: info.maxMem,
        memory_kib: info.memory,
        vcpus: u32::from(info.nrVirtCpu),
        cpu_time_ns: info.cpuTime,
    })
}

pub(crate) fn xml(dom: &Dom, flags: c_uint) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virDomainGetXMLDesc(dom.ptr(), flags) })
}

pub(crate) fn metadata(dom: &Dom, uri: &str, flags: c_uint) -> Result<String, Cause> {
    let uri = c_text(uri)?;
    let kind = c_int::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or_default();
    // SAFETY: handle and text outlive the call; the result is ours to free.
    owned_text(|| unsafe { sys::virDomainGetMetadata(dom.ptr(), kind, uri.as_ptr(), flags) })
}

pub(crate) fn set_metadata(
    dom: &Dom,
    xml: Option<&str>,
    prefix: &str,
    uri: &str,
    flags: c_uint,
) -> Result<(), Cause> {
    let (prefix, uri) = (c_text(prefix)?, c_text(uri)?);
    let xml = xml.map(c_text).transpose()?;
    let kind = c_int::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or_default();
    // SAFETY: handle and texts outlive the call; null removes the element.
    status(|| unsafe {
        let xml = xml.as_ref().map_or(ptr::null(), |x| x.as_ptr());
        sys::virDomainSetMetadata(dom.ptr(), kind, xml, prefix.as_ptr(), uri.as_ptr(), flags)
    })
    .map(drop)
}

pub(crate) fn attach_device(dom: &Dom, xml: &str, flags: c_uint) -> Result<(), Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    status(|| unsafe { sys::virDomainAttachDeviceFlags(dom.ptr(), xml.as_ptr(), flags) }).map(drop)
}

pub(crate) fn detach_device(dom: &Dom, xml: &str, flags: c_uint) -> Result<(), Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    status(|| unsafe { sys::virDomainDetachDeviceFlags(dom.ptr(), xml.as_ptr(), flags) }).map(drop)
}

pub(crate) fn update_device(dom: &Dom, xml: &str, flags: c_uint) -> Result<(), Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    status(|| unsafe { sys::virDomainUpdateDeviceFlags(dom.ptr(), xml.as_ptr(), flags) }).map(drop)
}

pub(crate) fn autostart(dom: &Dom) -> Result<bool, Cause> {
    let mut on = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virDomainGetAutostart(dom.ptr(), &raw mut on) })?;
    Ok(on != 0)
}

pub(crate) fn set_autostart(dom: &Dom, on: bool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virDomainSetAutostart(dom.ptr(), c_int::from(on)) }).map(drop)
}

pub(crate) fn open_console(
    dom: &Dom,
    device: Option<&str>,
    stream: &Stream,
    flags: c_uint,
) -> Result<(), Cause> {
    let device = device.map(c_text).transpose()?;
    // SAFETY: handles and text outlive the call; null stands for the first console.
    status(|| unsafe {
        let device = device.as_ref().map_or(ptr::null(), |d| d.as_ptr());
        sys::virDomainOpenConsole(dom.ptr(), device, stream.ptr(), flags)
    })
    .map(drop)
}

pub(crate) fn interfaces(dom: &Dom, source: c_uint) -> Result<Vec<Nic>, Cause> {
    let mut array: *mut sys::virDomainInterfacePtr = ptr::null_mut();
    // SAFETY: the handle is alive; the place for the array outlives the call.
    let count = status(|| unsafe {
        sys::virDomainInterfaceAddresses(dom.ptr(), &raw mut array, source, 0)
    })?;
    Ok(take_array(array, count, |pointer| {
        // SAFETY: an element of the list is a record that its caller owns.
        let record = unsafe { pointer.as_ref() };
        let addresses = (0..usize::try_from(record.naddrs).unwrap_or(0))
            .map(|i| {
                // SAFETY: `addrs` has `naddrs` elements.
                let address = unsafe { &*record.addrs.add(i) };
                (borrowed_text(address.addr), address.prefix)
            })
            .collect();
        let nic =
            Nic { name: borrowed_text(record.name), mac: borrowed_text(record.hwaddr), addresses };
        // SAFETY: the record is ours, and its texts were copied.
        unsafe { sys::virDomainInterfaceFree(pointer.as_ptr()) };
        nic
    }))
}

pub(crate) fn agent_command(dom: &Dom, command: &str, seconds: u32) -> Result<String, Cause> {
    let command = c_text(command)?;
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    let answer = owned_text(|| {
        // SAFETY: handle and text outlive the call; the result is ours to free.
        unsafe { sys::virDomainQemuAgentCommand(dom.ptr(), command.as_ptr(), seconds, 0) }
    })?;
    if answer.is_empty() { Err(last_error()) } else { Ok(answer) }
}
