// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon that serves one image for as long as its device lives.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use kiln_host::run::{CmdError, Host, Pipe};
use kiln_host::tools::qemu_storage_daemon::{
    Access, EXPORT, Export, Node, plain, serve as command,
};
use tempfile::TempDir;

use super::device::NbdDevice;
use crate::device::{Device, Extent};

/// Why an image is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NbdError {
    /// There is no folder for the socket.
    #[error("could not make a private folder for a socket")]
    Folder {
        /// What the host says.
        source: io::Error,
    },
    /// The daemon is missing, or was ended.
    #[error("could not open `{name}` with QEMU")]
    Daemon {
        /// The image.
        name: String,
        /// What came of it.
        source: CmdError,
    },
    /// The daemon looked at the image and does not take it.
    #[error("QEMU does not take `{name}`: {why}")]
    Refused {
        /// The image.
        name: String,
        /// What it says, in a line.
        why: String,
    },
    /// The daemon is there and does not answer.
    #[error("could not reach QEMU, which has `{name}` open")]
    Connect {
        /// The image.
        name: String,
        /// What the socket says.
        source: io::Error,
    },
}

/// The socket's name in its folder.
const SOCKET: &str = "nbd";

/// A disk that a daemon of its own serves. Dropped, the daemon ends, with all written that was.
#[derive(Debug)]
pub struct Served {
    // In this order: the connection ends before the daemon, the daemon before its folder.
    device: NbdDevice,
    _daemon: BufReader<Pipe>,
    folder: TempDir,
}

/// Starts a daemon for `disk` and connects to it. `name` is what errors call the image.
///
/// # Effects
///
/// Makes a folder that only this user can enter, with a socket, and a process in its own group.
/// All are gone when what this returns is dropped; the process ends with Kiln, too, however Kiln
/// ends.
///
/// # Errors
///
/// See [`NbdError`].
pub fn serve(host: &dyn Host, disk: Node, access: Access, name: &str) -> Result<Served, NbdError> {
    let folder = folder().map_err(|source| NbdError::Folder { source })?;
    let socket = folder.path().join(SOCKET);
    let cmd = command(&Export { disk, access, socket: socket.clone() });
    let failed = |source| NbdError::Daemon { name: name.to_owned(), source };
    let pipe = host.pipe(&cmd, Box::new(|_| ())).map_err(failed)?;
    let mut daemon = BufReader::new(pipe);
    let refused = |source| NbdError::Connect { name: name.to_owned(), source };
    if !greets(&mut daemon).map_err(refused)? {
        daemon.into_inner().finish().map_err(|error| match refusal(&error) {
            Some(why) => NbdError::Refused { name: name.to_owned(), why },
            None => failed(error),
        })?;
        return Err(refused(io::ErrorKind::UnexpectedEof.into()));
    }
    let device = connect(&socket).map_err(refused)?;
    Ok(Served { device, _daemon: daemon, folder })
}

/// Returns what the daemon said if it ended by itself: then it is the image that it does not take.
fn refusal(error: &CmdError) -> Option<String> {
    let CmdError::Failed { status, stderr, .. } = error else { return None };
    let stderr = plain(stderr);
    let line = stderr.lines().find(|line| !line.trim().is_empty())?;
    let own = [PROGRAM, "--blockdev the image: ", "Could not open 'the image': "];
    let why = own.iter().fold(line, |line, own| line.strip_prefix(own).unwrap_or(line));
    status.starts_with("status ").then(|| why.to_owned())
}

/// What the daemon's messages begin with.
const PROGRAM: &str = "qemu-storage-daemon: ";

fn connect(socket: &Path) -> io::Result<NbdDevice> {
    NbdDevice::connect(socket, EXPORT)
}

/// Makes a folder for this user only.
fn folder() -> io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let private = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("kiln-nbd-").permissions(private).tempdir()
}

/// Waits for the greeting of the monitor, which comes when all else is there; false if the daemon
/// ends instead.
fn greets(daemon: &mut impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    Ok(daemon.read_line(&mut line)? > 0 && line.starts_with("{\"QMP\""))
}

impl Served {
    /// Returns whether writing fails.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.device.is_read_only()
    }

    /// Returns the socket, which only this user can reach; the disk is [`EXPORT`] there. Others
    /// can be connected at the same time.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }
}

impl Device for Served {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.device.read_at(at, buf)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.device.write_at(at, bytes)
    }

    fn discard(&mut self, at: u64, len: u64) -> io::Result<()> {
        self.device.discard(at, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }

    fn size(&self) -> u64 {
        self.device.size()
    }

    fn extent(&mut self, at: u64) -> io::Result<Extent> {
        self.device.extent(at)
    }
}
