// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Images of a Ceph cluster, which QEMU's daemon reads and writes for us.
//!
//! The cluster has no lock that QEMU would honour: its own goes from one writer to the next that
//! asks. But whoever has an image open watches it. So an image that is to be changed is opened for
//! writing first, and then nobody else may watch it; and so again before the changes come into it.
//! A machine that is started in the moment after that is not kept out.

use std::io;
use std::path::{Path, PathBuf};

use kiln_host::tools::qemu_storage_daemon::{Access, Backing, Node, Source};
use kiln_host::tools::rbd;
use kiln_host::{CmdError, Host, RealHost};

use super::location::RbdName;
use super::redo::Place;
use super::{ImageError, Mode, Warning};
use crate::device::{Device, SharedDevice};
use crate::format::medium::Medium;
use crate::format::nbd::serve;

/// An image of a cluster, open.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) name: RbdName,
    pub(super) served: SharedDevice,
    pub(super) socket: PathBuf,
}

/// Opens an image of a cluster.
pub(super) fn open(
    name: &RbdName,
    mode: Mode,
    warnings: &mut Vec<Warning>,
) -> Result<Remote, ImageError> {
    let shown = name.to_string();
    let writing = mode == Mode::Write;
    if writing && name.is_snapshot() {
        return Err(ImageError::Snapshot { name: shown });
    }
    if !writing && !name.is_snapshot() {
        match watchers(name, &shown) {
            Ok(clients) if clients.is_empty() => {}
            Ok(clients) => warnings.push(Warning::Watched { name: shown.clone(), clients }),
            Err(ImageError::Cluster { source: CmdError::Missing { .. }, .. }) => {
                warnings.push(Warning::NoLocks { name: shown.clone() });
            }
            Err(error) => return Err(error),
        }
    } else if writing {
        // Before QEMU is: it waits for minutes where there is no cluster.
        free(name, 0)?;
    }
    let source = Source::Rbd(name.0.clone());
    let node = Node { driver: "raw".to_owned(), source, backing: Backing::Unknown, key: None };
    let access = if writing { Access::Write } else { Access::Read };
    let served = serve(&RealHost, node, access, &shown)
        .map_err(|source| ImageError::Served { name: shown, source })?;
    let socket = served.socket();
    let remote = Remote { name: name.clone(), served: SharedDevice::new(served), socket };
    if writing {
        remote.check_alone()?;
    }
    Ok(remote)
}

impl Remote {
    /// Returns an error unless this process's daemon is the only one that has the image open for
    /// writing.
    pub(super) fn check_alone(&self) -> Result<(), ImageError> {
        free(&self.name, 1)
    }

    pub(super) fn size(&self) -> u64 {
        self.served.size()
    }

    /// Returns what the image is written by.
    pub(super) fn medium(&self) -> Medium {
        Medium::device(self.served.clone())
    }

    /// Returns where the journal of the image is: in `folder`.
    pub(super) fn journal(&self, folder: Option<&Path>) -> Place {
        let path = folder.map(|folder| folder.join(format!(".{}.kiln-redo", self.file_name())));
        let owner = rustix::process::geteuid().as_raw();
        Place { path, is_device: true, inode: 0, owner }
    }

    /// Returns a name for a file about this image.
    fn file_name(&self) -> String {
        let shown = self.name.to_string();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let word: String = shown.chars().map(plain).take(MOST_WORD).collect();
        format!("{word}-{:08x}", crc32fast::hash(shown.as_bytes()))
    }
}

/// The most letters of an image's name in a file's.
const MOST_WORD: usize = 100;

/// Returns an error if more than `mine` have an image open.
fn free(name: &RbdName, mine: usize) -> Result<(), ImageError> {
    let shown = name.to_string();
    let clients = watchers(name, &shown)?;
    if clients.len() > mine {
        return Err(ImageError::Watched { name: shown, clients });
    }
    Ok(())
}

/// Asks the cluster who has an image open.
fn watchers(name: &RbdName, shown: &str) -> Result<Vec<String>, ImageError> {
    let failed = |source| ImageError::Cluster { name: shown.to_owned(), source };
    let printed = RealHost.run(&rbd::status(&name.0)).map_err(failed)?.stdout;
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "`rbd status` says nothing known");
    let found = rbd::parse_watchers(&printed);
    found.ok_or_else(|| ImageError::io("look who uses", shown)(strange()))
}
