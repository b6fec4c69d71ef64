// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Block devices, partition tables, boot loaders and file systems, in process: no root, no loop
//! device, no mount, no chroot.
//!
//! | module | what |
//! |---|---|
//! | [`device`] | the trait of a block device, raw files, windows |
//! | [`mod@format`] | formats of disk images |
//! | [`image`] | images that are read and changed in place, all or nothing |
//! | [`check`] | whether all of an image is in order, and mending it |
//! | [`convert`] | copies of a disk in other formats |
//! | [`resize`] | another size for a disk, its last partition and the file system in it |
//! | [`table`] | partition tables |
//! | [`fs`] | file systems: ext4, FAT, ISO 9660 |
//! | [`boot`] | boot loaders, put in place by offset |
//! | [`decompress`] | gzip, xz and zstd, in a thread beside |
//! | [`tar`] | the tar stream that a root file system comes in |
//! | [`assemble`] | a tar stream to a bootable disk, in one pass |
//!
//! **Invariant:** trees and images are hostile: no path leads out of its target, every size is
//! bounded before memory is asked for it, and nothing is given to a driver of the kernel.

pub mod assemble;
pub mod boot;
pub mod check;
pub mod convert;
pub mod decompress;
pub mod device;
pub mod format;
pub mod fs;
pub mod image;
mod le;
pub mod resize;
pub mod table;
pub mod tar;
