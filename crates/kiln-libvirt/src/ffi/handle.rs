// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ownership of libvirt's counted objects.
#![expect(unsafe_code, reason = "owns and releases references that C counts")]

use std::fmt;
use std::ptr::NonNull;

use virt_sys as sys;

use super::call::timed;

/// A type of libvirt whose objects are counted.
///
/// # Safety
///
/// `release` must give back one reference, and the type must be usable from any thread.
pub(crate) unsafe trait Counted {
    /// Gives back one reference.
    ///
    /// # Safety
    ///
    /// The caller must own a reference, and not use it afterwards.
    unsafe fn release(pointer: *mut Self);
}

/// One reference to an object of libvirt, given back on drop.
pub(crate) struct Handle<T: Counted>(NonNull<T>);

impl<T: Counted> Handle<T> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `pointer` must be a reference that the caller owns, and gives away by this.
    pub(super) unsafe fn new(pointer: NonNull<T>) -> Self {
        Self(pointer)
    }

    /// Returns the pointer, valid as long as the handle is.
    pub(super) fn ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T: Counted> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle owns one reference, and ends here.
        timed(|| unsafe { T::release(self.0.as_ptr()) });
    }
}

impl<T: Counted> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}", self.0)
    }
}

// SAFETY: libvirt's objects are counted atomically, locked inside, and may be used from any
// thread: <https://libvirt.org/kbase/internals/locking.html>, "all public APIs are thread safe".
unsafe impl<T: Counted> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T: Counted> Sync for Handle<T> {}

macro_rules! counted {
    ($($type:ident => $release:ident),* $(,)?) => {
        $(
            // SAFETY: the function of libvirt for this type.
            unsafe impl Counted for sys::$type {
                unsafe fn release(pointer: *mut Self) {
                    // The status is dropped: it can only say that the reference was bad, or that
                    // others remain.
                    // SAFETY: the caller owns the reference.
                    let _ = unsafe { sys::$release(pointer) };
                }
            }
        )*
    };
}

counted! {
    virConnect => virConnectClose,
    virDomain => virDomainFree,
    virNetwork => virNetworkFree,
    virSecret => virSecretFree,
    virStoragePool => virStoragePoolFree,
    virStorageVol => virStorageVolFree,
    virStream => virStreamFree,
}

pub(crate) type Conn = Handle<sys::virConnect>;
pub(crate) type Dom = Handle<sys::virDomain>;
pub(crate) type Net = Handle<sys::virNetwork>;
pub(crate) type Secret = Handle<sys::virSecret>;
pub(crate) type Pool = Handle<sys::virStoragePool>;
pub(crate) type Vol = Handle<sys::virStorageVol>;
pub(crate) type Stream = Handle<sys::virStream>;
