// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why something could not be done with a tree under construction.

use std::io;
use std::path::{Path, PathBuf};

use kiln_host::lock::LockError;
use kiln_host::namespace::SpaceError;
use kiln_host::scratch::ScratchError;

/// Why something could not be done with a tree under construction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// A program failed.
    #[error("`{name}` ended with status {code}")]
    Failed {
        /// What was to be done.
        name: String,
        /// Its exit status; 128 + n if signal n ended it.
        code: i32,
        /// The end of what it wrote.
        tail: String,
    },
    /// The namespaces, or what Kiln itself does in them.
    #[error("could not work in the tree")]
    Space {
        /// What failed.
        source: SpaceError,
    },
    /// An archive that was to be unpacked cannot be read.
    #[error("could not read the archive")]
    Source {
        /// What reading said.
        source: io::Error,
    },
    /// The folder for work under way.
    #[error("could not prepare a folder for the build")]
    Scratch(#[from] ScratchError),
    /// A lock.
    #[error("could not lock a layer")]
    Lock(#[from] LockError),
    /// A file or folder of the host.
    #[error("could not {doing} `{}`", path.display())]
    Io {
        /// What was tried: `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something.
    #[error("could not {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Kiln was told to stop.
    #[error("kiln was told to stop")]
    Interrupted,
}

impl WorkspaceError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    pub(super) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// Returns what the user can do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Space { source: SpaceError::NoIds { user, .. } } => Some(format!(
                "as root: usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 \
                 {user}"
            )),
            Self::Space { source: SpaceError::NoSpace { .. } } => {
                Some("free some space: `kiln cache gc` removes layers of builds".into())
            }
            // Of an overlay below an overlay.
            Self::Space { source: SpaceError::System { source, .. } }
                if source.kind() == io::ErrorKind::InvalidInput =>
            {
                Some(
                    "layers need ext4, XFS or btrfs: set KILN_HOME to a folder there (a \
                     container's own file system is often an overlay; mount a volume)"
                        .into(),
                )
            }
            _ => None,
        }
    }
}
