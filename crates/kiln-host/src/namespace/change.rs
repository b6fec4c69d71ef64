// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One change that a program made to the guest's files.

use serde::{Deserialize, Serialize};

/// What a place is after the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// Nothing: what was there is removed.
    Gone,
    /// A directory. With `emptied`, what it had before is gone, and what follows is all it has.
    Directory {
        /// Whether it was made anew.
        emptied: bool,
    },
    /// A file, whose contents follow.
    File {
        /// Bytes of contents.
        size: u64,
        /// Whether it is the file that was there, changed, and no new one with its name.
        kept: bool,
    },
    /// Another name of a file that came before.
    Link {
        /// That file's path.
        to: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A place that differs from what it was before the program ran. A directory comes before what
/// is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path, from the guest's root, beginning with `/`.
    pub path: Vec<u8>,
    /// What is there now.
    pub kind: ChangeKind,
    /// The twelve bits of permission.
    pub mode: u32,
    /// User number, as the guest counts.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
    /// Time of the last change: seconds since 1970, nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes by full names.
    pub xattrs: Vec<(String, Vec<u8>)>,
}
