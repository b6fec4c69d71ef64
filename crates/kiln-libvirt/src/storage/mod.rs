// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Storage pools and volumes, and the bytes in them.
//!
//! Nothing here assumes that the host's files are this machine's: bytes go through libvirt's
//! streams.

mod pool;
mod rbd;
mod transfer;
mod volume;

pub use pool::{Pool, PoolInfo, PoolKind, PoolState, PoolView, pool_element};
pub use rbd::{MonitorError, RbdPool};
pub use transfer::Progress;
pub use volume::{Backing, Volume, VolumeInfo, VolumeKind, VolumeSpec, VolumeView};
