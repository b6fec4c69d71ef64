// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The verbs of `kiln bundle`, by the program itself, on small trees; what they make is read by
//! GNU tar, qemu-img, e2fsck and debugfs.

mod difference;
mod hostile;
mod remote;
mod sign;
mod ssh;
mod support;
mod whole;
