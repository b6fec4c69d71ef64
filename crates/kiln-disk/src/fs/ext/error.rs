// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an ext file system could not be read or written.

use std::io;

use super::path::shown;

/// Why a call on an [`super::ExtFs`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtError {
    /// The data that a file was to have could not be read.
    #[error("could not read the contents of a new file")]
    Data {
        /// What their source said.
        source: io::Error,
    },
    /// What a file's contents were written to failed.
    #[error("could not write the contents of a file to where they were to go")]
    Out {
        /// What it said.
        source: io::Error,
    },
    /// The device failed.
    #[error("could not {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the device said.
        source: io::Error,
    },
    /// libext2fs refused: usually the file system is damaged.
    #[error("could not {doing}: {text} (libext2fs {code})")]
    Library {
        /// What was being done.
        doing: &'static str,
        /// The number that libext2fs gave.
        code: i64,
        /// What it means.
        text: String,
    },
    /// No block is free any more.
    #[error("the file system is full: no block is free")]
    NoBlocks,
    /// No inode is free any more.
    #[error("the file system is full: no inode is free")]
    NoInodes,
    /// The extended attributes of one file do not fit their block.
    #[error("the extended attributes of one file take more than a block of the file system")]
    XattrsTooLarge,
    /// It must not be written to in the state that it is in.
    #[error("the file system may not be written to: {why}")]
    ReadOnly {
        /// Why not.
        why: String,
    },
    /// It was not unmounted, and what its journal holds cannot be brought to its place; a tree
    /// read without that would not be the true one.
    #[error("the journal of the file system cannot be replayed: {why}")]
    Journal {
        /// Why not.
        why: &'static str,
    },
    /// Its contents and names are encrypted, and the key is not here.
    #[error("inode {inode} is encrypted")]
    Encrypted {
        /// Which inode.
        inode: u32,
    },
    /// The superblock says what cannot be.
    #[error("the superblock of the file system is damaged: {what}")]
    Superblock {
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no such file.
    #[error("`{}` does not exist", shown(path))]
    NotFound {
        /// The path.
        path: Vec<u8>,
    },
    /// A directory is needed there, and something else is.
    #[error("`{}` is no directory", shown(path))]
    NotADirectory {
        /// The path, or the name.
        path: Vec<u8>,
    },
    /// The name is taken.
    #[error("`{}` exists", shown(name))]
    Exists {
        /// The name.
        name: Vec<u8>,
    },
    /// A name is empty, `.`, `..`, too long, or holds `/` or a zero byte.
    #[error("`{}` is no file name", shown(name))]
    BadName {
        /// The name.
        name: Vec<u8>,
    },
    /// A symbolic link's target is empty, too long or holds a zero byte.
    #[error("a symbolic link cannot lead to `{}`", shown(target))]
    BadTarget {
        /// The target.
        target: Vec<u8>,
    },
    /// Symbolic links lead in a circle, or there are more than 40 of them in a path.
    #[error("`{}` leads through too many symbolic links", shown(path))]
    Loop {
        /// The path.
        path: Vec<u8>,
    },
    /// An inode has as many names as ext4 can count: 65,000.
    #[error("`{}` would be one name too many of its file: ext4 allows 65000", shown(name))]
    TooManyLinks {
        /// The name that was to be added.
        name: Vec<u8>,
    },
    /// A directory that is to go still has entries.
    #[error("the directory `{}` is not empty", shown(name))]
    NotEmpty {
        /// The name.
        name: Vec<u8>,
    },
    /// A directory was to be moved below itself.
    #[error("`{}` cannot be moved into itself", shown(name))]
    IntoItself {
        /// Its name.
        name: Vec<u8>,
    },
    /// The file system contradicts itself.
    #[error("the file system is damaged: inode {inode} is {what}")]
    Damaged {
        /// Which inode.
        inode: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A directory stands where a file must: one that is to go, to be linked or to be replaced.
    #[error("`{}` is a directory", shown(name))]
    IsADirectory {
        /// The name.
        name: Vec<u8>,
    },
    /// It is not a file with contents.
    #[error("inode {inode} is no {wanted}")]
    WrongKind {
        /// Which inode.
        inode: u32,
        /// What it was taken for.
        wanted: &'static str,
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
