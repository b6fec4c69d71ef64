// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a FAT file system could not be read or written.

use std::io;

use kiln_spec::Bytes;

use crate::fs::ext::shown;

/// Why a call on a [`super::FatImage`] or a [`super::FatFs`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FatError {
    /// The device failed.
    #[error("could not {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the device said.
        source: io::Error,
    },
    /// The data that a file was to have could not be read.
    #[error("could not read the contents of a new file")]
    Data {
        /// What their source said.
        source: io::Error,
    },
    /// A name cannot stand in a FAT directory, or stands there already.
    #[error("`{path}` cannot be a path on FAT: {why}")]
    BadPath {
        /// The path, or the name.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// The device's size is not one that FAT16 or FAT32 can have.
    #[error("a FAT file system cannot have {size}")]
    BadSize {
        /// The size.
        size: Bytes,
    },
    /// The files do not fit.
    #[error("the files for the FAT file system take {need}, and it has {room}")]
    Full {
        /// What they take, in whole clusters.
        need: Bytes,
        /// What there is.
        room: Bytes,
    },
    /// No cluster is free any more.
    #[error("the file system is full: no cluster is free")]
    NoClusters,
    /// The root directory of a FAT12 or FAT16 file system, or one with 65536 entries, is full.
    #[error("the directory of `{name}` is full")]
    DirectoryFull {
        /// The name that has no room.
        name: String,
    },
    /// There is no FAT file system.
    #[error("there is no FAT file system: {why}")]
    NotFat {
        /// What is wrong in its first sector.
        why: String,
    },
    /// What is written in the file system cannot be right.
    #[error("the FAT file system is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// It was opened for reading only.
    #[error("the file system was opened for reading only")]
    ReadOnly,
    /// There is no such file.
    #[error("`{}` does not exist", shown(path))]
    NotFound {
        /// The path, or the name.
        path: Vec<u8>,
    },
    /// A directory is needed there, and something else is.
    #[error("`{}` is no directory", shown(path))]
    NotADirectory {
        /// The path, or the name.
        path: Vec<u8>,
    },
    /// A file is needed there, and a directory is.
    #[error("`{}` is a directory", shown(path))]
    IsADirectory {
        /// The path, or the name.
        path: Vec<u8>,
    },
    /// The name is taken.
    #[error("`{}` exists", shown(name))]
    Exists {
        /// The name.
        name: Vec<u8>,
    },
    /// A directory that is to go still has entries.
    #[error("`{}` is not empty", shown(name))]
    NotEmpty {
        /// The name.
        name: Vec<u8>,
    },
    /// A directory would be moved into itself.
    #[error("`{}` cannot be moved into itself", shown(name))]
    IntoItself {
        /// The name.
        name: Vec<u8>,
    },
    /// A file would have 4 GiB or more, which FAT cannot hold.
    #[error("`{}` would have 4 GiB or more, which FAT cannot hold", shown(name))]
    TooLarge {
        /// The name.
        name: Vec<u8>,
    },
    /// A file is longer than its reader allows.
    #[error("a file of {size} bytes is longer than the {most} that were expected")]
    TooLong {
        /// Its length in bytes.
        size: u64,
        /// What was allowed.
        most: u64,
    },
}
