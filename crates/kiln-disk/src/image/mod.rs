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
//!
//! **Invariant:** no file but the one that was named is opened, unless the caller asks for
//! backing files.

mod error;
mod open;
pub mod overlay;
mod store;

pub use error::ImageError;
pub use open::{Backing, DiskImage, FormatName, Info, Layer, Mode, OpenOptions, Warning};
