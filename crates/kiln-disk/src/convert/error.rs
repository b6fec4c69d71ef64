// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why a disk is not copied.

use std::io;
use std::path::PathBuf;

use kiln_host::CmdError;

use crate::format::nbd::NbdError;

/// Why a disk is not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The target is there.
    #[error("`{}` exists already", target.display())]
    Exists {
        /// The target.
        target: PathBuf,
    },
    /// The target is there, and another program uses it.
    #[error("`{}` is in use{by}", target.display())]
    InUse {
        /// The target.
        target: PathBuf,
        /// Who: ` by process 5 (`qemu`)`, or nothing.
        by: String,
    },
    /// An option does not go with the others.
    #[error("the copy cannot be made: {0}")]
    Option(String),
    /// The disk cannot be read.
    #[error("could not read the disk at byte {at}")]
    Read {
        /// Where.
        at: u64,
        /// What the device says.
        source: io::Error,
    },
    /// The target cannot be written.
    #[error("could not write `{}`", target.display())]
    Write {
        /// The target.
        target: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// Kiln was told to stop.
    #[error("the copy was stopped, because kiln was")]
    Interrupted,
    /// `qemu-img` could not make an empty image.
    #[error("could not make `{}`", target.display())]
    Tool {
        /// The target.
        target: PathBuf,
        /// What came of it.
        source: CmdError,
    },
    /// QEMU does not open the image that is to be filled.
    #[error("could not fill `{}`", target.display())]
    Served {
        /// The target.
        target: PathBuf,
        /// Why.
        source: NbdError,
    },
}

impl ConvertError {
    /// Returns the error of a call on the file `target`.
    pub(super) fn write(target: &std::path::Path) -> impl Fn(io::Error) -> Self {
        let target = target.to_owned();
        move |source| Self::Write { target: target.clone(), source }
    }
}
