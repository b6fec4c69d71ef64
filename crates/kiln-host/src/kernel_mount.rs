// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A file system of a stranger, mounted by the host's own kernel, where nobody but this process
//! sees it.
//!
//! The mount is never attached to a folder: fsmount(2) gives a file descriptor of its root, and
//! when that is closed, however the process ends, the kernel unmounts it. The loop device below it
//! is told to go with its last user (`LO_FLAGS_AUTOCLEAR`).
//!
//! Source: loop(4), `linux/loop.h`; fsopen(2), fsconfig(2), fsmount(2): Linux 5.8 and newer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::libc;
use rustix::io::Errno;
use rustix::ioctl::{Setter, ioctl};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

const LOOP_CONFIGURE: u32 = 0x4c0a;
const LOOP_CTL_GET_FREE: u32 = 0x4c82;
/// `LO_FLAGS_READ_ONLY` is 1.
const AUTOCLEAR: u32 = 4;
/// How often another process may take the free loop device first.
const TRIES: usize = 64;
/// How long the kernel may take to let a loop device go.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most messages of the kernel about one mount.
const MOST_MESSAGES: usize = 8;
const TICK: Duration = Duration::from_millis(5);

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A loop device, which the kernel takes down when nothing uses it any more.
#[derive(Debug)]
pub struct Loop {
    path: PathBuf,
    number: u32,
    /// Keeps it until it is mounted.
    device: Option<File>,
}

impl Loop {
    /// Makes `len` bytes of a file from `offset` on a block device.
    ///
    /// # Errors
    ///
    /// What the kernel says: only root may, and there may be no loop devices at all.
    pub fn attach(file: &File, offset: u64, len: u64) -> io::Result<Self> {
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        let fd = u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        for _ in 0..TRIES {
            let number = free(&control)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(true).open(&path)?;
            match configure(&device, (fd, offset, len)) {
                Ok(()) => return Ok(Self { path, number, device: Some(device) }),
                Err(Errno::BUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::BUSY.into())
    }

    /// Mounts the file system on the device, for this process alone: returns its root. Devices on
    /// it are none, and programs on it cannot be run.
    ///
    /// # Errors
    ///
    /// What the kernel says; [`io::ErrorKind::Unsupported`] if it does not know `kind`.
    pub fn mount(
        &self,
        kind: &str,
        options: &[(&str, Option<&str>)],
        read_only: bool,
    ) -> io::Result<OwnedFd> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| match error {
            Errno::NODEV => io::Error::new(
                io::ErrorKind::Unsupported,
                format!("this host's kernel knows no {kind}"),
            ),
            other => other.into(),
        })?;
        let failed = |error: Errno| told(&context, error);
        let source = self.path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        fsconfig_set_string(&context, "source", source).map_err(failed)?;
        for (name, value) in options {
            match value {
                Some(value) => fsconfig_set_string(&context, *name, *value).map_err(failed)?,
                None => fsconfig_set_flag(&context, *name).map_err(failed)?,
            }
        }
        if read_only {
            fsconfig_set_flag(&context, "ro").map_err(failed)?;
        }
        fsconfig_create(&context).map_err(failed)?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_NOATIME;
        if read_only {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed)?;
        Ok(root)
    }

    /// Waits until nothing uses the device and the kernel has taken it down: all that was written
    /// to it is in its file then.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if something uses it for longer than a minute.
    pub fn detach(mut self) -> io::Result<()> {
        self.device = None;
        let sign = PathBuf::from(format!("/sys/block/loop{}/loop/autoclear", self.number));
        let began = Instant::now();
        // Gone, or another's: those are seldom told to clear themselves just now.
        while fs::exists(&sign)? {
            if began.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::park_timeout(TICK);
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "rustix knows no loop devices")]
fn free(control: &File) -> io::Result<u32> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument and touches no memory; its answer is the number.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE.into()) };
    u32::try_from(number).map_err(|_| io::Error::last_os_error())
}

/// Adds to an error of a mount what the kernel says about it.
fn told(context: &OwnedFd, error: Errno) -> io::Error {
    let mut lines = Vec::new();
    let mut message = [0; 4096];
    // Each read gives one message; ENODATA when there are no more.
    while let Ok(len) = rustix::io::read(context, &mut message) {
        lines.push(String::from_utf8_lossy(&message[..len]).trim().to_owned());
        if lines.len() == MOST_MESSAGES {
            break;
        }
    }
    let error = io::Error::from(error);
    if lines.is_empty() {
        return error;
    }
    let text: String = lines.join("; ").chars().filter(|c| !c.is_control()).collect();
    io::Error::new(error.kind(), format!("{error}: {text}"))
}

#[expect(unsafe_code, reason = "rustix knows no loop devices")]
fn configure(device: &File, (fd, offset, len): (u32, u64, u64)) -> Result<(), Errno> {
    let info = Info {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset,
        sizelimit: len,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: AUTOCLEAR,
        names: [0; 160],
        init: [0; 2],
    };
    let config = Config { fd, block_size: 0, info, reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE reads a `struct loop_config`, which `Config` is laid out as.
    unsafe { ioctl(device.as_fd(), Setter::<LOOP_CONFIGURE, Config>::new(config)) }
}
