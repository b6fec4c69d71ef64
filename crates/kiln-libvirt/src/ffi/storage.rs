// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on storage pools and volumes.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::{c_int, c_uint};

use virt_sys as sys;

use super::call::{borrowed_text, c_text, list, object, owned_text, status, timed};
use super::handle::{Conn, Pool, Stream, Vol};
use crate::error::Cause;

/// State and sizes of a pool, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawPoolInfo {
    pub(crate) state: c_int,
    pub(crate) capacity: u64,
    pub(crate) allocation: u64,
    pub(crate) available: u64,
}

/// Kind and sizes of a volume, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawVolumeInfo {
    pub(crate) kind: c_int,
    pub(crate) capacity: u64,
    pub(crate) allocation: u64,
}

pub(crate) fn define(conn: &Conn, xml: &str) -> Result<Pool, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStoragePoolDefineXML(conn.ptr(), xml.as_ptr(), 0) })
}

pub(crate) fn by_name(conn: &Conn, name: &str) -> Result<Pool, Cause> {
    let name = c_text(name)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStoragePoolLookupByName(conn.ptr(), name.as_ptr()) })
}

pub(crate) fn by_target(conn: &Conn, path: &str) -> Result<Pool, Cause> {
    let path = c_text(path)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStoragePoolLookupByTargetPath(conn.ptr(), path.as_ptr()) })
}

pub(crate) fn of_volume(vol: &Vol) -> Result<Pool, Cause> {
    // SAFETY: the handle is alive.
    object(|| unsafe { sys::virStoragePoolLookupByVolume(vol.ptr()) })
}

pub(crate) fn all(conn: &Conn) -> Result<Vec<Pool>, Cause> {
    // SAFETY: the handle outlives the call; `list` provides the place for the array.
    list(|array| unsafe { sys::virConnectListAllStoragePools(conn.ptr(), array, 0) })
}

pub(crate) fn name(pool: &Pool) -> String {
    // SAFETY: the handle is alive, and the text belongs to it.
    borrowed_text(timed(|| unsafe { sys::virStoragePoolGetName(pool.ptr()) }))
}

pub(crate) fn build(pool: &Pool, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolBuild(pool.ptr(), flags) }).map(drop)
}

/// Removes what a pool lies on, if it is empty.
pub(crate) fn delete_pool(pool: &Pool) -> Result<(), Cause> {
    // SAFETY: the handle is alive; without flags nothing that holds something is removed.
    status(|| unsafe { sys::virStoragePoolDelete(pool.ptr(), sys::VIR_STORAGE_POOL_DELETE_NORMAL) })
        .map(drop)
}

pub(crate) fn start(pool: &Pool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolCreate(pool.ptr(), 0) }).map(drop)
}

pub(crate) fn destroy(pool: &Pool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolDestroy(pool.ptr()) }).map(drop)
}

pub(crate) fn undefine(pool: &Pool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolUndefine(pool.ptr()) }).map(drop)
}

pub(crate) fn refresh(pool: &Pool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolRefresh(pool.ptr(), 0) }).map(drop)
}

pub(crate) fn is_active(pool: &Pool) -> Result<bool, Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolIsActive(pool.ptr()) }).map(|n| n == 1)
}

pub(crate) fn autostart(pool: &Pool) -> Result<bool, Cause> {
    let mut on = 0;
    // SAFETY: the handle is alive; the number outlives the call.
    status(|| unsafe { sys::virStoragePoolGetAutostart(pool.ptr(), &raw mut on) })?;
    Ok(on != 0)
}

pub(crate) fn set_autostart(pool: &Pool, on: bool) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStoragePoolSetAutostart(pool.ptr(), c_int::from(on)) }).map(drop)
}

pub(crate) fn pool_info(pool: &Pool) -> Result<RawPoolInfo, Cause> {
    // SAFETY: numbers only, for which zeros are a value.
    let mut info: sys::virStoragePoolInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is alive; the record outlives the call.
    status(|| unsafe { sys::virStoragePoolGetInfo(pool.ptr(), &raw mut info) })?;
    Ok(RawPoolInfo {
        state: info.state,
        capacity: info.capacity,
        allocation: info.allocation,
        available: info.available,
    })
}

pub(crate) fn pool_xml(pool: &Pool) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virStoragePoolGetXMLDesc(pool.ptr(), 0) })
}

pub(crate) fn volumes(pool: &Pool) -> Result<Vec<Vol>, Cause> {
    // SAFETY: the handle outlives the call; `list` provides the place for the array.
    list(|array| unsafe { sys::virStoragePoolListAllVolumes(pool.ptr(), array, 0) })
}

pub(crate) fn volume_by_name(pool: &Pool, name: &str) -> Result<Vol, Cause> {
    let name = c_text(name)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStorageVolLookupByName(pool.ptr(), name.as_ptr()) })
}

pub(crate) fn volume_by_path(conn: &Conn, path: &str) -> Result<Vol, Cause> {
    let path = c_text(path)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStorageVolLookupByPath(conn.ptr(), path.as_ptr()) })
}

pub(crate) fn create_volume(pool: &Pool, xml: &str, flags: c_uint) -> Result<Vol, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virStorageVolCreateXML(pool.ptr(), xml.as_ptr(), flags) })
}

pub(crate) fn clone_volume(
    pool: &Pool,
    xml: &str,
    from: &Vol,
    flags: c_uint,
) -> Result<Vol, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handles and text outlive the call.
    object(|| unsafe {
        sys::virStorageVolCreateXMLFrom(pool.ptr(), xml.as_ptr(), from.ptr(), flags)
    })
}

pub(crate) fn volume_name(vol: &Vol) -> String {
    // SAFETY: the handle is alive, and the text belongs to it.
    borrowed_text(timed(|| unsafe { sys::virStorageVolGetName(vol.ptr()) }))
}

pub(crate) fn volume_path(vol: &Vol) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virStorageVolGetPath(vol.ptr()) })
}

pub(crate) fn volume_info(vol: &Vol) -> Result<RawVolumeInfo, Cause> {
    // SAFETY: numbers only, for which zeros are a value.
    let mut info: sys::virStorageVolInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the handle is alive; the record outlives the call.
    status(|| unsafe { sys::virStorageVolGetInfo(vol.ptr(), &raw mut info) })?;
    Ok(RawVolumeInfo { kind: info.type_, capacity: info.capacity, allocation: info.allocation })
}

pub(crate) fn volume_xml(vol: &Vol) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virStorageVolGetXMLDesc(vol.ptr(), 0) })
}

pub(crate) fn resize(vol: &Vol, capacity: u64) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStorageVolResize(vol.ptr(), capacity, 0) }).map(drop)
}

pub(crate) fn delete(vol: &Vol, flags: c_uint) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virStorageVolDelete(vol.ptr(), flags) }).map(drop)
}

pub(crate) fn upload(
    vol: &Vol,
    to: &Stream,
    offset: u64,
    length: u64,
    flags: c_uint,
) -> Result<(), Cause> {
    // SAFETY: both handles are alive.
    status(|| unsafe { sys::virStorageVolUpload(vol.ptr(), to.ptr(), offset, length, flags) })
        .map(drop)
}

pub(crate) fn download(
    vol: &Vol,
    from: &Stream,
    offset: u64,
    length: u64,
    flags: c_uint,
) -> Result<(), Cause> {
    // SAFETY: both handles are alive.
    status(|| unsafe { sys::virStorageVolDownload(vol.ptr(), from.ptr(), offset, length, flags) })
        .map(drop)
}
