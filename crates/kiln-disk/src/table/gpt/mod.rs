// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GUID partition tables: planning and writing a new one, reading and changing what is there.
//!
//! | module | what |
//! |---|---|
//! | `plan` | a new table |
//! | `disk` | the two copies of a table on a disk: read, checked, changed, written back |

mod disk;
mod plan;

pub use plan::{
    BASIC_DATA, BIOS_BOOT, ESP, Extent, GptPlan, LINUX, LVM, LayoutError, PartitionSpec,
    ROOT_ARM64, ROOT_X86_64, SECTOR, SWAP, plan,
};

pub(super) use disk::GptDisk;
