// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong in a guest's tree.

use std::error::Error;

use kiln_spec::Bytes;

use super::GuestPath;

/// Why something in a guest's tree could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// There is nothing at the path, or its folder is missing.
    #[error("`{path}` is not in the guest")]
    NotFound {
        /// The path.
        path: GuestPath,
    },
    /// The name is taken.
    #[error("`{path}` is in the guest already")]
    Exists {
        /// The path.
        path: GuestPath,
    },
    /// The path, or a part of it, is something else.
    #[error("`{path}` is no directory of the guest")]
    NotADirectory {
        /// The path.
        path: GuestPath,
    },
    /// A file is wanted, and this is something else.
    #[error("`{path}` is no file of the guest")]
    NotAFile {
        /// The path.
        path: GuestPath,
    },
    /// A symbolic link is wanted, and this is something else.
    #[error("`{path}` is no symbolic link of the guest")]
    NotALink {
        /// The path.
        path: GuestPath,
    },
    /// The directory has names in it.
    #[error("the guest's directory `{path}` is not empty")]
    NotEmpty {
        /// The path.
        path: GuestPath,
    },
    /// The path leads through too many symbolic links.
    #[error("`{path}` leads through too many symbolic links")]
    Loop {
        /// The path.
        path: GuestPath,
    },
    /// There are more names than can be held.
    #[error("too many files in the guest, up to `{path}`")]
    TooMany {
        /// The first that does not fit.
        path: GuestPath,
    },
    /// Directories lie too deep in one another, or one holds itself.
    #[error("the guest's directory `{path}` lies too deep, or holds itself")]
    TooDeep {
        /// The path.
        path: GuestPath,
    },
    /// No path at all.
    #[error("`{path}` is no path: too long, or with a NUL in it")]
    BadPath {
        /// Its beginning, escaped.
        path: String,
    },
    /// The file is larger than what is asked for may be.
    #[error("the guest's file `{path}` is larger than {most}")]
    TooLarge {
        /// The path.
        path: GuestPath,
        /// The most bytes.
        most: Bytes,
    },
    /// The guest's file system is full.
    #[error("no space left in the guest for `{path}`")]
    NoSpace {
        /// The path.
        path: GuestPath,
    },
    /// The file system cannot hold this, or not be changed.
    #[error("`{path}` cannot be changed: {why}")]
    ReadOnly {
        /// The path.
        path: GuestPath,
        /// What stands against it.
        why: String,
    },
    /// The two paths are on different file systems of the guest.
    #[error("`{from}` and `{to}` are on different file systems of the guest")]
    CrossDevice {
        /// What is moved or linked.
        from: GuestPath,
        /// Its new name.
        to: GuestPath,
    },
    /// The contents to write could not be read.
    #[error("cannot read what is to be written to `{path}`")]
    Contents {
        /// The path in the guest.
        path: GuestPath,
        /// What reading said.
        source: std::io::Error,
    },
    /// Contents that were read could not be handed on.
    #[error("cannot write out the contents of the guest's `{path}`")]
    Output {
        /// The path in the guest.
        path: GuestPath,
        /// What writing said.
        source: std::io::Error,
    },
    /// What holds the tree failed.
    #[error("cannot {what} `{path}` in the guest")]
    Backend {
        /// A verb: read, write.
        what: &'static str,
        /// The path.
        path: GuestPath,
        /// What the file system, the appliance or the host said.
        source: Box<dyn Error + Send + Sync>,
    },
}
