// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Out of a guest, and from guest to guest: copies, archives, differences.
//!
//! What goes into a guest is in [`crate::tree`]; what is written to the host here is written by
//! open folders and names without `/`, so that no link and no name of a guest leads elsewhere.

mod copy_out;
mod diff;
mod holes;
pub(crate) mod tar_out;

use std::io;
use std::path::PathBuf;

pub use copy_out::{CopiedOut, CopyOut, LeftOut, copy_out};
pub use diff::{Aspect, DiffOptions, Difference, How, Item, diff};
pub use tar_out::{Archived, tar_out, tar_out_without};

use crate::tree::TreeError;

/// Why files could not be brought out of a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The guest's side.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The host's side.
    #[error("cannot write `{}`", path.display())]
    Host {
        /// The file or folder.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Archive {
        /// What its receiver said.
        source: io::Error,
    },
}
