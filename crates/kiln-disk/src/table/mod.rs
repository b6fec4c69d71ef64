// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Partition tables: what is on a disk, and how it is changed.
//!
//! | module | what |
//! |---|---|
//! | [`mod@read`] | the table of any disk: GPT, MBR with logical partitions, or none |
//! | [`edit`] | other sizes of partitions and disks; no partition gets another number |
//! | [`check`] | whether a table is in order, and mending it |
//! | [`kind`] | what a partition is for |
//! | [`gpt`] | GUID partition tables; planning and writing a new one |
//! | `mbr` | tables of the old kind and their chains of logical partitions |
//!
//! **Invariant:** a table is hostile. What is read of it is bounded, chains end, and each
//! [`Partition`] that is given out lies within its disk.

pub mod check;
pub mod edit;
mod error;
pub mod gpt;
pub mod kind;
pub mod mbr;
pub mod read;

pub use edit::{resize_partition, set_disk_size};
pub use error::{Note, TableError};
pub use kind::PartitionKind;
pub use read::{DiskId, Partition, PartitionTable, TableKind, read};
