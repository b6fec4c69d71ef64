// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disk images that are read and changed in place, all or nothing.
//!
//! [`DiskImage::open`] gives a device whose writes are kept beside the file. [`DiskImage::commit`]
//! brings them into the file so that a kill at any moment leaves the old disk or the new one;
//! without it the file stays as it was.
//!
//! | module | what |
//! |---|---|
//! | [`overlay`] | changes over a device that stays as it is |
//! | `store` | where an overlay's blocks are |
//! | `layer` | opening files: locks, backing files |
//! | `foreign` | formats that QEMU reads, changed in a copy |
//! | `location`, `remote` | images that are in no file: those of a Ceph cluster |
//! | `commit`, `redo`, `records` | bringing changes in; the journal of a raw image |
//!
//! **Invariant:** no file but the one that was named is opened, unless the caller asks for
//! backing files.

mod base;
mod commit;
#[cfg(test)]
mod crash_tests;
mod error;
mod foreign;
mod key;
mod layer;
mod location;
mod open;
pub mod overlay;
mod records;
mod redo;
mod remote;
mod store;

pub use error::ImageError;
pub(crate) use foreign::beside;
pub use key::Key;
pub use layer::Layer;
pub use location::{Location, RbdName, RbdNameError};
pub use open::{Backing, DiskImage, FormatName, Info, Mode, OpenOptions, Warning};
