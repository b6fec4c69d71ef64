// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Extended attributes, through libext2fs.
#![expect(unsafe_code, reason = "the calls into libext2fs")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use super::super::error::ExtError;
use super::super::ffi;
use super::super::inode::Inode;
use super::Raw;

impl Raw {
    /// Sets extended attributes of an inode that has been written before.
    pub(in super::super) fn set_xattrs(
        &mut self,
        ino: u32,
        xattrs: &[(String, Vec<u8>)],
    ) -> Result<(), ExtError> {
        self.check_write()?;
        self.with_xattrs(ino, |raw, handle| {
            for (name, value) in xattrs {
                let name = CString::new(name.as_str())
                    .map_err(|_| ExtError::BadName { name: name.clone().into_bytes() })?;
                // SAFETY: name and value live until the call returns, which copies them.
                let code = unsafe {
                    let value_at = value.as_ptr().cast();
                    ffi::ext2fs_xattr_set(handle, name.as_ptr(), value_at, value.len())
                };
                raw.check(code, "write an extended attribute")?;
            }
            Ok(())
        })
    }

    /// Removes the extended attributes whose names `keep` does not want.
    pub(in super::super) fn remove_xattrs(
        &mut self,
        ino: u32,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<(), ExtError> {
        self.check_write()?;
        self.with_xattrs(ino, |raw, handle| {
            let mut names: Vec<CString> = Vec::new();
            // SAFETY: `collect_xattr_name` gets `names`, which lives until the call returns.
            let code = unsafe {
                let private = (&raw mut names).cast();
                ffi::ext2fs_xattrs_iterate(handle, collect_xattr_name, private)
            };
            raw.check(code, "list extended attributes")?;
            for name in names.iter().filter(|name| !keep(name.as_bytes())) {
                // SAFETY: the name lives until the call returns.
                let code = unsafe { ffi::ext2fs_xattr_remove(handle, name.as_ptr()) };
                raw.check(code, "remove an extended attribute")?;
            }
            Ok(())
        })
    }

    /// Returns the extended attributes of an inode.
    pub(in super::super) fn xattrs(&self, ino: u32) -> Result<Vec<(String, Vec<u8>)>, ExtError> {
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        self.with_xattrs(ino, |raw, handle| {
            // SAFETY: `collect_xattr` gets `all`, which lives until the call returns.
            let code =
                unsafe { ffi::ext2fs_xattrs_iterate(handle, collect_xattr, (&raw mut all).cast()) };
            raw.check(code, "list extended attributes")
        })?;
        Ok(all)
    }

    fn with_xattrs(
        &self,
        ino: u32,
        with: impl FnOnce(&Self, ffi::Handle) -> Result<(), ExtError>,
    ) -> Result<(), ExtError> {
        let mut handle = ptr::null_mut();
        // SAFETY: the handle is closed below in every case.
        let code = unsafe { ffi::ext2fs_xattrs_open(self.fs, ino, &raw mut handle) };
        self.check(code, "open extended attributes")?;
        // SAFETY: the handle has just been opened.
        let code = unsafe { ffi::ext2fs_xattrs_read(handle) };
        let done = self.check(code, "read extended attributes").and_then(|()| with(self, handle));
        // SAFETY: nothing uses the handle any more.
        let code = unsafe { ffi::ext2fs_xattrs_close(&raw mut handle) };
        done.and_then(|()| self.check(code, "write extended attributes"))
    }

    /// Removes all extended attributes, with inodes that hold the values of some.
    pub(in super::super) fn clear_xattrs(&mut self, ino: u32) -> Result<(), ExtError> {
        self.remove_xattrs(ino, |_| false)
    }

    /// Frees the block of extended attributes that `inode` has.
    pub(in super::super) fn free_xattr_block(
        &mut self,
        ino: u32,
        inode: &mut Inode,
    ) -> Result<(), ExtError> {
        // SAFETY: `inode` is that of `ino`, of full size.
        let code = unsafe { ffi::ext2fs_free_ext_attr(self.fs, ino, inode.as_mut_ptr()) };
        self.check(code, "free extended attributes")
    }
}

unsafe extern "C" fn collect_xattr_name(
    name: *mut c_char,
    _: *mut c_char,
    _: usize,
    private: *mut c_void,
) -> c_int {
    // SAFETY: `private` is the vector of `remove_xattrs`; the name is libext2fs's own copy.
    unsafe { (*private.cast::<Vec<CString>>()).push(CStr::from_ptr(name).to_owned()) };
    0
}

unsafe extern "C" fn collect_xattr(
    name: *mut c_char,
    value: *mut c_char,
    len: usize,
    private: *mut c_void,
) -> c_int {
    // SAFETY: `private` is the vector of `xattrs`; name and value are libext2fs's own copies.
    unsafe {
        let all = &mut *private.cast::<Vec<(String, Vec<u8>)>>();
        let name = CStr::from_ptr(name).to_string_lossy().into_owned();
        let value = if len == 0 { &[][..] } else { std::slice::from_raw_parts(value.cast(), len) };
        all.push((name, value.to_vec()));
    }
    0
}
