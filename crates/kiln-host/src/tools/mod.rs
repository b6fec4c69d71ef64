// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One file for each tool: how to call it and how to read what it says.

pub mod dnf;
pub mod e2fsck;
pub mod fsck_fat;
pub mod grub_mkimage;
pub mod guestfish;
pub mod iptables;
pub mod mke2fs;
pub mod mkfs_btrfs;
pub mod mkfs_xfs;
pub mod mmdebstrap;
pub mod nft;
pub mod qemu_img;
pub mod qemu_storage_daemon;
pub mod rbd;
pub mod resize2fs;
pub mod sqfstar;
pub mod tar;
