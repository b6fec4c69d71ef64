// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why an image is not opened or not changed.

use std::io;

use kiln_host::CmdError;
use kiln_host::image_lock::Holder;
use kiln_spec::Bytes;

use crate::format::FormatError;
use crate::format::nbd::NbdError;
use crate::format::qcow2::WriteError;
use crate::fs::ext::shown;

/// Why an image is not opened or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// What the file holds is not taken.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The host says no.
    #[error("could not {what} `{name}`")]
    Io {
        /// What was tried: "open", "read", "write".
        what: &'static str,
        /// The file.
        name: String,
        /// What the host says.
        source: io::Error,
    },
    /// It is a folder, a socket or another thing without bytes.
    #[error("`{name}` is neither a file nor a disk of the host")]
    NotAFile {
        /// The path.
        name: String,
    },
    /// It was opened to be read.
    #[error("`{name}` was opened for reading only")]
    ReadOnly {
        /// The file.
        name: String,
    },
    /// Another program has it open in a way that excludes this one.
    #[error("`{name}` is in use{}", Holder::list(holders))]
    InUse {
        /// The file.
        name: String,
        /// Who uses it, as far as that can be known.
        holders: Vec<Holder>,
    },
    /// Others have an image of a cluster open.
    #[error("`{name}` is in use by {}", clients_of(clients))]
    Watched {
        /// The image.
        name: String,
        /// Their addresses, as the cluster knows them.
        clients: Vec<String>,
    },
    /// The cluster does not tell who uses its image.
    #[error("could not ask the Ceph cluster about `{name}`")]
    Cluster {
        /// The image.
        name: String,
        /// What came of it.
        source: CmdError,
    },
    /// It is a snapshot of a cluster's image, which never changes.
    #[error("`{name}` is a snapshot, which cannot be changed")]
    Snapshot {
        /// The image.
        name: String,
    },
    /// An image of a cluster is to be read as a format of files.
    #[error("`{name}` is read as a raw disk only")]
    OnlyRaw {
        /// The image.
        name: String,
    },
    /// A backing file cannot be opened.
    #[error("could not open `{}`, the backing file of `{name}`", shown(backing.as_bytes()))]
    Backing {
        /// The file that names it.
        name: String,
        /// Its name as it stands there.
        backing: String,
        /// Why.
        source: Box<ImageError>,
    },
    /// A backing file is not named as a file, or in no format that is read here.
    #[error("it is {what}, which is not read here")]
    BackingKind {
        /// What it is, with its article.
        what: String,
    },
    /// A header does not say its backing file's format.
    #[error("the format of `{}`, the backing file of `{name}`, is not told", shown(backing.as_bytes()))]
    BackingFormat {
        /// The file that names it.
        name: String,
        /// Its name as it stands there.
        backing: String,
    },
    /// No disk has that size, or this one's is not to be changed.
    #[error("`{name}` cannot have {} bytes", size.0)]
    Size {
        /// The image.
        name: String,
        /// The size that was asked for.
        size: Bytes,
    },
    /// It is in a format that is not changed here.
    #[error("`{name}` is a {format} image, which cannot be changed so")]
    NotChanged {
        /// The image.
        name: String,
        /// Its format.
        format: &'static str,
    },
    /// QEMU does not open it.
    #[error("could not read `{name}`, which QEMU has to read")]
    Served {
        /// The image.
        name: String,
        /// What came of it.
        source: NbdError,
    },
    /// It is encrypted, and none of the keys opens it.
    #[error("no key that was given opens `{name}`")]
    Locked {
        /// The image.
        name: String,
        /// What came of the last key.
        source: Option<Box<ImageError>>,
    },
    /// A file is its own backing file, through others or not.
    #[error("`{name}` is its own backing file")]
    Cycle {
        /// The file.
        name: String,
    },
    /// There are too many backing files.
    #[error("there are more than {most} backing files")]
    TooDeep {
        /// How many there may be.
        most: usize,
    },
    /// A signal asked Kiln to end before the changes came into the image.
    #[error("`{name}` was not changed: stopped by a signal")]
    Stopped {
        /// The image.
        name: String,
    },
    /// A change that was interrupted cannot be finished.
    #[error("an interrupted change of `{name}` cannot be finished: {why}")]
    Unfinished {
        /// The image.
        name: String,
        /// The file with the rest of the change.
        journal: String,
        /// Why.
        why: &'static str,
    },
}

/// Names clients of a cluster.
pub(super) fn clients_of(clients: &[String]) -> String {
    format!("other clients of the cluster: {}", clients.join(", "))
}

impl ImageError {
    /// Returns what to do about it, if there is one thing.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format(error) => error.hint(),
            Self::Backing { source, .. } => source.hint(),
            Self::Snapshot { .. } => {
                Some("change a copy: `--output`, or the image that it was made of".to_owned())
            }
            Self::Watched { .. } => Some(
                "stop the machine that uses it; a client that was killed is forgotten after half \
                 a minute"
                    .to_owned(),
            ),
            Self::InUse { .. } => {
                Some("stop the machine that uses it, or wait for the other program".to_owned())
            }
            Self::BackingFormat { name, backing } => Some(format!(
                "if you know it, write it into the header: `qemu-img rebase -u -F FORMAT -b {backing} {name}`"
            )),
            Self::Unfinished { journal, .. } => Some(format!(
                "if the image is good as it is, or you have a copy of it, remove `{journal}`"
            )),
            Self::NotChanged { name, .. } => {
                Some(format!("make a qcow2 of it: `kiln image convert {name} image.qcow2`"))
            }
            Self::Locked { .. } => {
                Some("name a file with its passphrase by `--key-file FILE`".to_owned())
            }
            Self::Io { .. }
            | Self::Cluster { .. }
            | Self::OnlyRaw { .. }
            | Self::Served { .. }
            | Self::NotAFile { .. }
            | Self::ReadOnly { .. }
            | Self::BackingKind { .. }
            | Self::Cycle { .. }
            | Self::Size { .. }
            | Self::TooDeep { .. }
            | Self::Stopped { .. } => None,
        }
    }

    /// Returns the error of a call that failed on the file `name`.
    pub(crate) fn io(what: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Io { what, name, source }
    }

    /// Returns why the file `name` was not written.
    pub(super) fn write(name: &str) -> impl FnOnce(WriteError) -> Self {
        move |error| match error {
            WriteError::Io(source) => Self::io("write", name)(source),
            WriteError::Format(error) => Self::Format(error),
        }
    }
}
