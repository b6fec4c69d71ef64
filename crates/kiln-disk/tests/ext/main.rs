// SPDX-License-Identifier: Apache-2.0 OR MIT
//! ext2, ext3 and ext4 as e2fsprogs sees them: e2fsck, debugfs.

mod dirs;
mod edit;
mod fill;
mod hostile;
mod image;
mod journal;
mod random;
mod tend;
mod uuid;
