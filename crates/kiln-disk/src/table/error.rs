// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a table is not read or changed, and what is odd about one that is.

use std::fmt;

use kiln_spec::Bytes;

/// Why a partition table cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The disk cannot be read or written.
    #[error("could not {what}")]
    Io {
        /// What was to be done: `read the partition table`.
        what: &'static str,
        /// What the device says.
        source: std::io::Error,
    },
    /// Neither copy of the GUID partition table is whole.
    #[error("the GUID partition table is damaged: {primary}; its copy at the end: {backup}")]
    Gpt {
        /// What is wrong with the first.
        primary: String,
        /// What is wrong with the one at the end.
        backup: String,
    },
    /// The chain of logical partitions is wrong.
    #[error("the chain of logical partitions is damaged: {what}")]
    Chain {
        /// What is wrong with it.
        what: String,
    },
    /// There is no table to be changed.
    #[error("the disk has no partition table")]
    NoTable,
    /// There is no such partition.
    #[error("the disk has no partition {number}")]
    NoPartition {
        /// Its number.
        number: u32,
    },
    /// A partition cannot have that size.
    #[error("partition {number} cannot have {asked}: {most} is the most here")]
    NoRoom {
        /// Its number.
        number: u32,
        /// What was asked for.
        asked: Bytes,
        /// The most that it can have.
        most: Bytes,
    },
    /// The size is no whole number of sectors, or none.
    #[error("partition {number} cannot have {} bytes: its sectors have {sector}", asked.0)]
    Size {
        /// Its number.
        number: u32,
        /// What was asked for.
        asked: Bytes,
        /// Bytes of a sector.
        sector: u64,
    },
    /// A disk of that size has no room for a partition that is there.
    #[error("a disk of {size} has no room for partition {number}, which ends at {end}")]
    DiskTooSmall {
        /// The disk's new size.
        size: Bytes,
        /// The partition.
        number: u32,
        /// Where it ends, in bytes from the disk's beginning, with what the table itself needs.
        end: Bytes,
    },
    /// A disk of that size has no room for the table.
    #[error("a disk of {size} has no room for its partition table")]
    NoTableRoom {
        /// The disk's size.
        size: Bytes,
    },
    /// An extended partition has others in it.
    #[error("partition {number} is extended: resize a logical partition in it")]
    Extended {
        /// Its number.
        number: u32,
    },
}

impl TableError {
    pub(super) fn reading(source: std::io::Error) -> Self {
        Self::Io { what: "read the partition table", source }
    }

    pub(super) fn writing(source: std::io::Error) -> Self {
        Self::Io { what: "write the partition table", source }
    }
}

/// Something about a table that does not keep it from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The first copy of a GPT is damaged; the one at the end was read.
    PrimaryDamaged {
        /// What is wrong.
        what: String,
    },
    /// The copy of a GPT at the end is damaged or missing.
    BackupDamaged {
        /// What is wrong.
        what: String,
    },
    /// The copy of a GPT is not at the disk's end: the disk has grown.
    BackupNotAtEnd,
    /// There is a GPT, but no protective MBR, so Linux and firmware do not use it.
    NoProtectiveMbr,
    /// The MBR names partitions besides the one that stands for the GPT.
    Hybrid,
    /// Two partitions share sectors.
    Overlap {
        /// Number of the first.
        first: u32,
        /// Number of the second.
        second: u32,
    },
    /// A partition goes on beyond the disk's end; here it ends with the disk.
    CutOff {
        /// Its number.
        number: u32,
    },
    /// An entry that Linux does not take: it ends before it begins or lies beyond the disk.
    Ignored {
        /// Its number.
        number: u32,
    },
    /// The chain of logical partitions ends at a sector that is none of it.
    ChainEnds {
        /// The sector.
        sector: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrimaryDamaged { what } => {
                write!(
                    f,
                    "the first copy of the partition table is damaged ({what}); the one at the end is used"
                )
            }
            Self::BackupDamaged { what } => {
                write!(f, "the copy of the partition table at the end is damaged: {what}")
            }
            Self::BackupNotAtEnd => {
                f.write_str("the copy of the partition table is not at the disk's end")
            }
            Self::NoProtectiveMbr => f.write_str(
                "there is a GUID partition table without a protective MBR; Linux does not use it",
            ),
            Self::Hybrid => {
                f.write_str("the MBR names partitions of its own beside the GUID partition table")
            }
            Self::Overlap { first, second } => write!(f, "partitions {first} and {second} overlap"),
            Self::CutOff { number } => {
                write!(f, "partition {number} goes on beyond the disk's end")
            }
            Self::Ignored { number } => write!(f, "entry {number} is no partition of this disk"),
            Self::ChainEnds { sector } => {
                write!(f, "the chain of logical partitions breaks off at sector {sector}")
            }
        }
    }
}
