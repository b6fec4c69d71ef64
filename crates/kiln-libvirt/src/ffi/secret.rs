// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls on secrets.
#![expect(unsafe_code, reason = "calls libvirt's C functions")]

use std::ffi::{c_int, c_uchar};
use std::ptr::NonNull;

use uuid::Uuid;
use virt_sys as sys;

use super::call::{c_text, list, object, owned_bytes, owned_text, status};
use super::handle::{Conn, Secret};
use crate::error::Cause;

pub(crate) fn define(conn: &Conn, xml: &str) -> Result<Secret, Cause> {
    let xml = c_text(xml)?;
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virSecretDefineXML(conn.ptr(), xml.as_ptr(), 0) })
}

pub(crate) fn by_uuid(conn: &Conn, uuid: Uuid) -> Result<Secret, Cause> {
    // SAFETY: the handle is alive; a UUID has the 16 bytes that are read.
    object(|| unsafe { sys::virSecretLookupByUUID(conn.ptr(), uuid.as_bytes().as_ptr()) })
}

pub(crate) fn ceph_by_name(conn: &Conn, name: &str) -> Result<Secret, Cause> {
    let name = c_text(name)?;
    let kind = c_int::try_from(sys::VIR_SECRET_USAGE_TYPE_CEPH).expect("it is a small number");
    // SAFETY: handle and text outlive the call.
    object(|| unsafe { sys::virSecretLookupByUsage(conn.ptr(), kind, name.as_ptr()) })
}

pub(crate) fn all(conn: &Conn) -> Result<Vec<Secret>, Cause> {
    // SAFETY: the handle outlives the call; `list` provides the place for the array.
    list(|array| unsafe { sys::virConnectListAllSecrets(conn.ptr(), array, 0) })
}

pub(crate) fn uuid(secret: &Secret) -> Result<Uuid, Cause> {
    let mut bytes: [c_uchar; 16] = [0; 16];
    // SAFETY: the handle is alive; the place has the 16 bytes that are written.
    status(|| unsafe { sys::virSecretGetUUID(secret.ptr(), bytes.as_mut_ptr()) })?;
    Ok(Uuid::from_bytes(bytes))
}

pub(crate) fn xml(secret: &Secret) -> Result<String, Cause> {
    // SAFETY: the handle is alive; the result is ours to free.
    owned_text(|| unsafe { sys::virSecretGetXMLDesc(secret.ptr(), 0) })
}

pub(crate) fn set_value(secret: &Secret, value: &[u8]) -> Result<(), Cause> {
    // SAFETY: handle and bytes outlive the call, which reads as many as are said.
    status(|| unsafe { sys::virSecretSetValue(secret.ptr(), value.as_ptr(), value.len(), 0) })
        .map(drop)
}

pub(crate) fn value(secret: &Secret) -> Result<Vec<u8>, Cause> {
    let mut length = 0;
    owned_bytes(|| {
        // SAFETY: the handle is alive; the place for the length outlives the call; the result is
        // ours to free.
        let bytes = unsafe { sys::virSecretGetValue(secret.ptr(), &raw mut length, 0) };
        NonNull::new(bytes).map(|bytes| (bytes, length))
    })
}

pub(crate) fn undefine(secret: &Secret) -> Result<(), Cause> {
    // SAFETY: the handle is alive.
    status(|| unsafe { sys::virSecretUndefine(secret.ptr()) }).map(drop)
}
